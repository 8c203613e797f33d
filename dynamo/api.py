"""The API's way through Django: on the event loop, with threads that requests share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest
from django.middleware.security import SecurityMiddleware
from django.utils.log import log_response

from chargepoints.database import Together, in_database
from ocpp16.beginnings import begin_all

from . import idempotency
from .bodies import READS, is_plain, prepare
from .middleware import HostMiddleware, request_id

ROOT = "/api/v1/"
# Of their own: whoever commands a charge point must not stand behind the messages of all.
THREADS = ThreadPoolExecutor(4, thread_name_prefix="database-api")
in_api_thread = partial(in_database, threads=THREADS)
# Two at a time: the more go into a batch, the less each of them costs.
BEGINNING = ThreadPoolExecutor(2, thread_name_prefix="database-begin")
beginnings = Together(begin_all, BEGINNING, 32)
# What settings.MIDDLEWARE has besides is for browsers: sessions, forms, pages.
MIDDLEWARE = (SecurityMiddleware, HostMiddleware)

GetResponse = Callable[[HttpRequest], Awaitable[Any]]


class ApiHandler(ASGIHandler):
    """Serves what is below ROOT.

    Django's own holds a thread for each request and changes between it and the loop a dozen times, for middleware that
    only looks at headers and for signals that clean up. Here a request that waits for a charge point is a coroutine.
    """

    def load_middleware(self, is_async: bool = True) -> None:
        # The names that Django's own leaves behind.
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._answer_or_error: Any = convert_exception_to_response(self.answer)
        chain: Any = convert_exception_to_response(self.view)
        for middleware in reversed(MIDDLEWARE):
            chain = convert_exception_to_response(around(middleware, chain))
        self._middleware_chain = request_id(chain)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer; a caller who hangs up meanwhile does not stop what was begun."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        request, response = self.create_request(scope, body)  # type: tuple[Any, Any]
        if request is not None:
            request.in_thread, request.begin_command = in_api_thread, beginnings.do
            response = await self.respond(request)
        await self.send_response(response, send)
        body.close()

    async def respond(self, request: Any) -> Any:
        response = await self._middleware_chain(request)
        if response.status_code >= 400:
            said = response.reason_phrase, request.path
            log_response("%s: %s", *said, response=response, request=request)
        return response

    async def view(self, request: HttpRequest) -> Any:
        """Have the request answered; where it has a key of its own, once however often it comes."""
        self.resolve_request(request)
        if request.method in READS:
            return await self.answer(request)
        # What is kept for a repetition is the answer itself, not how it travels.
        once = idempotency.is_given(request)
        response = await (idempotency.once(request, self._answer_or_error) if once else self.answer(request))
        return response if is_plain(request, response) else await in_api_thread(prepare, request, response)

    async def answer(self, request: Any) -> Any:
        """Have an asynchronous view answer here, any other whole in a thread; a read as it is sent."""
        view, args, kwargs = request.resolver_match
        if not iscoroutinefunction(view):
            return await in_api_thread(self._answer, request)
        response = await view(request, *args, **kwargs)
        return await in_api_thread(prepare, request, response) if request.method in READS else response

    def _answer(self, request: HttpRequest) -> Any:
        response = self._get_response(request)  # type: ignore[attr-defined]
        return prepare(request, response) if request.method in READS else response


def around(middleware: Any, get_response: GetResponse) -> GetResponse:
    """The middleware without the two threads that it would have Django take for each request."""
    ours = middleware(get_response)

    async def handle(request: HttpRequest) -> Any:
        response = ours.process_request(request)
        if response is None:
            response = await get_response(request)
        return ours.process_response(request, response)

    return handle
