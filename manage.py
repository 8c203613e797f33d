#!/usr/bin/env python3
import os
import sys

# This file alone must parse on any Python 3, so that an old one can be told in a sentence.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Dynamo needs Python 3.11 or newer; this is Python {}.{}.".format(*sys.version_info[:2]))


def main():
    from dynamo import bootstrap

    bootstrap.enter_environment(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dynamo.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except (OperationalError, ProgrammingError) as error:
        # Unreachable or never migrated, and no command can do anything about it.
        if "--traceback" in sys.argv:
            raise
        reason = str(error).strip().splitlines()[0].rstrip(".")
        sys.exit(f"The database cannot be used: {reason}. Is it there, and migrated (`python3 manage.py migrate`)?")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
