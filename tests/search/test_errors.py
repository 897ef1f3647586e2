import inspect

from search import errors
from search.errors import FreerunError, UserError


def test_every_error_is_drawn_in_the_module_docstring() -> None:
    names = [
        name
        for name, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, FreerunError)
    ]
    assert len(names) == 10
    assert all(name in (errors.__doc__ or "") for name in names)


def test_the_users_mistakes_exit_with_2_and_all_else_with_1() -> None:
    assert FreerunError.exit_code == 1
    assert UserError.exit_code == 2
    assert [error.exit_code for error in UserError.__subclasses__()] == [2] * 7
