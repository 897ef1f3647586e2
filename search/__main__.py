"""`python -m search` is `freerun`."""

from search.start import main

if __name__ == "__main__":
    main()
