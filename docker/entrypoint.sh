#!/bin/sh
# Turns the database password, which arrives as a file, into the standard PostgreSQL password file,
# then becomes the command. The password passes through files only: never an argument, which every
# process list shows, nor an environment variable, which every child inherits.
set -eu

secret=${FREERUN_PASSWORD_FILE:-/run/secrets/postgres_password}
: "${PGPASSFILE:?must name the PostgreSQL password file that is to be written}"

if [ ! -r "$secret" ]; then
    echo "freerun: the password file $secret is missing or not readable by user $(id -u)." >&2
    echo "freerun: see the head of docker-compose.yml for how to make it." >&2
    exit 2
fi
# A final line break is no part of the password, as in the postgres image; \ and : are escaped, as
# the format host:port:database:user:password asks.
password=$(sed 's/[\\:]/\\&/g' "$secret")
case $password in
    '' | *'
'*)
        echo "freerun: the password file $secret must hold exactly one line that is not empty." >&2
        exit 2
        ;;
esac

umask 077 # libpq ignores a password file that anybody else could read
printf '*:*:freerun:freerun:%s\n' "$password" >"$PGPASSFILE"
unset password

exec "$@"
