"""What is looked for again and again, mostly in vain."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection, models

from .attention import attention
from .database import Together

Rows = Callable[[], models.QuerySet[Any]]


@dataclass(eq=False)
class Question:
    """Whether a manager's method finds any rows."""

    rows: Rows
    answer: bool = False


async def is_any(rows: Rows) -> bool:
    """Whether a manager's method finds any rows; one statement answers all who ask in the same turn of the loop.

    While nothing happens, most who ask are told that it finds none.
    """
    if not attention.is_due(rows):
        return False
    question = Question(rows)
    await _questions.do(question)
    if question.answer:
        attention.hold()
    return question.answer


def ask(questions: list[Question]) -> None:
    statements = [_existence(question.rows) for question in questions]
    with connection.cursor() as cursor:
        columns = ", ".join(f"EXISTS ({sql})" for sql, _ in statements)
        cursor.execute(f"SELECT {columns}", [each for _, params in statements for each in params])
        for question, answer in zip(questions, cursor.fetchone(), strict=True):
            question.answer = bool(answer)


@cache
def _existence(rows: Rows) -> tuple[str, tuple[Any, ...]]:
    """The statement, which the ORM takes longer to write than the database to answer."""
    sql, params = rows().query.exists().sql_with_params()
    return sql, tuple(params)


_questions = Together(ask, ThreadPoolExecutor(1, thread_name_prefix="database-looks"), 16)
