from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError, UnsupportedMediaType, ValidationError
from rest_framework.parsers import JSONParser

from .paths import path_of

Steps = tuple[str | int, ...]

MAXIMUM_DEPTH = 32
MAXIMUM_NAME = 100
MAXIMUM_PROBLEMS = 100
# OCPP 1.6 integers have 32 bits, so what is beyond could reach no charge point unharmed.
INTEGERS = range(-(2**31), 2**31)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class StrictJSONParser(JSONParser):
    """One JSON object in UTF-8, with nothing in it that a database or a charge point cannot hold."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        refuse_encoded(parser_context or {})
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        document = read(body)
        if not isinstance(document, dict):
            raise ParseError("The body is not a JSON object.")
        problems: dict[str, list[str]] = {}
        for path, problem in islice(find_problems(document), MAXIMUM_PROBLEMS):
            problems.setdefault(path, []).append(problem)
        if problems:
            raise ValidationError(problems)
        return document


def refuse_encoded(parser_context: Mapping[str, Any]) -> None:
    """Unpack nothing: a few kilobytes may hold gigabytes."""
    request = parser_context.get("request")
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "") if request is not None else ""
    if encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(encoding, "The body has a Content-Encoding: send it as it is.")


def read(body: bytes) -> Any:
    """The document in `body`; ParseError says in a sentence why there is none."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=refuse_constant, object_pairs_hook=members)
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise ParseError("The body is nested too deeply.") from None
    except ValueError:
        raise ParseError("The body has a number with too many digits.") from None


def refuse_constant(name: str) -> NoReturn:
    raise ParseError(f"The body is not valid JSON: {name} is not a number.")


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object; a name that comes twice would mean one thing to us and another to a proxy."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ParseError("The body names a member of an object twice.")
    return found


def find_problems(value: Any, steps: Steps = ()) -> Iterator[tuple[str, str]]:
    """The (path, problem) of all that cannot be stored or sent."""
    if len(steps) > MAXIMUM_DEPTH:
        raise ParseError("The body is nested too deeply.")
    # A path is text only where there is a problem: the text for each of many items could fill the memory.
    if problem := scalar_problem(value):
        yield path_of(steps), problem
    for step, inner in inside(value):
        if isinstance(step, str) and (problem := name_problem(step)):
            yield path_of((*steps, shown(step))), problem
        yield from find_problems(inner, (*steps, shown(step) if isinstance(step, str) else step))


def inside(value: Any) -> Iterable[tuple[str | int, Any]]:
    """What a value holds, by member name or index."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def shown(name: str) -> str:
    """A member name as an answer can hold it."""
    return UNSTORABLE.sub("\ufffd", name[:MAXIMUM_NAME])


def name_problem(name: str) -> str:
    if len(name) > MAXIMUM_NAME:
        return f"A name must have at most {MAXIMUM_NAME} characters."
    return "Not a name." if UNSTORABLE.search(name) else ""


def scalar_problem(value: Any) -> str:
    if isinstance(value, str):
        return "Must hold no NUL and no half of a surrogate pair." if UNSTORABLE.search(value) else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "Must be a finite number."
    if isinstance(value, int) and value not in INTEGERS:
        return f"Must be between {INTEGERS.start} and {INTEGERS.stop - 1}."
    return ""
