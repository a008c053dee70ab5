"""Some sixty answers that say how they are to be judged, for doors that must agree on it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

EVENTS = {"content-type": "text/event-stream"}
PAGE = {"content-type": "text/html"}
PLAIN = {"content-type": "text/plain"}


class Said(NamedTuple):
    """One answer, and what is to be made of it.

    Args:
        status: Its HTTP status.
        body: An object, or bytes.
        kind: Its fate; "" if it is an answer.
        why: What no waiting cures.
        wait_s: Seconds that it names.
        tokens: What it cost: read and made; None: not looked at.
        headers: Its headers.
    """

    status: int
    body: Any
    kind: str
    why: str = ""
    wait_s: float = 0.0
    tokens: tuple[int, int] | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody writes to it


def refused(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


def whole(usage: Any = None, **choice: Any) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": "a river"}
    one = {"index": 0, "message": message, "finish_reason": "stop", **choice}
    told = {} if usage is None else {"usage": usage}
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [one], **told
    }  # fmt: skip


def used(read: Any, made: Any, total: Any, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": read, "completion_tokens": made, "total_tokens": total, **more}


def event(**fields: Any) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def chunk(text: Any = "", finish: str | None = None, usage: Any = None, **choice: Any) -> bytes:
    told = {} if usage is None else {"usage": usage}
    one = {"index": 0, "delta": {"content": text}, "finish_reason": finish, **choice}
    kind = "chat.completion.chunk"
    return event(id="c", object=kind, created=1, model="m", choices=[one], **told)


def counted(usage: Any) -> bytes:
    kind = "chat.completion.chunk"
    return event(id="c", object=kind, created=1, model="m", choices=[], usage=usage)


DONE = b"data: [DONE]\n\n"
ROLE = chunk("", role="assistant")

# -- statuses, words and waits: every door --------------------------------------------------------
THROTTLED = "ThrottlingException: Too many requests, please wait before trying again."
STATUSES: dict[str, Said] = {
    "400 throttled": Said(400, refused(THROTTLED), "limit"),
    "400 throttled, with a code": Said(
        400, refused("slow", code="ThrottlingException"), "limit"),
    "400": Said(400, refused("no such parameter"), "permanent"),
    "400 overloaded": Said(400, refused("The model is overloaded"), "overloaded"),
    "400 too long": Said(
        400, refused("This model's maximum context length is 8 tokens"), "permanent", "too_long"),
    "400 policy": Said(400, refused("no", code="content_filter"), "permanent"),
    "401": Said(401, refused("bad key"), "permanent"),
    "402": Said(402, refused("pay"), "permanent", "billing"),
    "403 no money": Said(403, refused("Your credit balance is too low"), "permanent", "billing"),
    "403 limit": Said(
        403, {"message": "Out of call volume quota. Quota will be replenished in 00:00:02.",
              "statusCode": 403}, "limit", wait_s=2.0),
    "404": Said(404, refused("no model"), "permanent"),
    "408": Said(408, refused("late"), "transient"),
    "409": Said(409, refused("conflict"), "transient"),
    "422": Said(422, {"detail": [{"loc": ["body"], "msg": "bad"}]}, "permanent"),
    "425": Said(425, refused("early"), "transient"),
    "429": Said(429, refused("x"), "limit"),
    "429 plain": Said(429, b"slow down please", "limit", headers=PLAIN),
    "429 never": Said(429, refused("x"), "permanent", headers={"x-should-retry": "false"}),
    "429 no money": Said(429, refused("x", code="insufficient_quota"), "permanent", "billing"),
    "429 trial": Said(429, refused("Your free trial has expired."), "permanent", "billing"),
    "429 header": Said(429, refused("x"), "limit", wait_s=7.0, headers={"retry-after": "7"}),
    "429 header in words": Said(
        429, refused("x"), "limit", wait_s=7.0, headers={"retry-after": "7s"}),
    "429 field": Said(429, {"error": {"message": "x", "retry_after": 7}}, "limit", wait_s=7.0),
    "500": Said(500, refused("x"), "transient"),
    "500 too long": Said(
        500, refused("This model's maximum context length is 8"), "permanent", "too_long"),
    "500 a limit within": Said(500, refused("x", code=429), "limit"),
    "502 page": Said(502, b"<html>nginx</html>", "transient", headers=PAGE),
    "503": Said(503, refused("x"), "overloaded", wait_s=3.0, headers={"retry-after": "3"}),
    "520 page": Said(520, b"<html>cf</html>", "transient", headers=PAGE),
    "529": Said(529, refused("x"), "overloaded"),
}  # fmt: skip

# -- documents of status 200 that are no answer: every door, streams too --------------------------
DOCUMENTS: dict[str, Said] = {
    "a code": Said(200, refused("limited", code=429), "limit"),
    "a code as text": Said(200, refused("limited", code="rate_limit_exceeded"), "limit"),
    "a text": Said(200, {"error": "Rate limit exceeded, please retry"}, "limit"),
    "a text without meaning": Said(200, {"error": "it failed"}, "transient", "unreadable"),
    "a type": Said(200, refused("x", type="overloaded_error"), "overloaded"),
    "server_error": Said(200, refused("x", type="server_error", code=None), "transient"),
    "a key": Said(200, refused("x", code=401), "permanent"),
    "no money": Said(200, refused("x", code=402), "permanent", "billing"),
    "a detail": Said(200, {"detail": "Too many requests"}, "limit"),
    "code and msg": Said(200, {"code": 429, "msg": "too many", "data": None}, "limit"),
    "base_resp 1002": Said(
        200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, "limit"),
    "base_resp 1008": Said(
        200, {"base_resp": {"status_code": 1008, "status_msg": "no"}}, "permanent", "billing"),
    "base_resp beside nothing": Said(
        200, {"id": "c", "choices": None, "created": 1, "model": "m", "object": "",
              "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, "limit"),
    "vLLM's": Said(200, {"object": "error", "message": "busy", "type": "InternalServerError",
                         "code": 500}, "transient"),
    "Google's": Said(200, [refused("x", code=429, status="RESOURCE_EXHAUSTED")], "limit"),
    "a wait": Said(200, refused("Please try again in 7s", code=429), "limit", wait_s=7.0),
    "a wait in a field": Said(
        200, {"error": {"message": "x", "code": 429, "retry_after": 7}}, "limit", wait_s=7.0),
    "a wait in a header": Said(
        200, refused("x", code=429), "limit", wait_s=7.0, headers={"retry-after": "7"}),
    "nothing": Said(200, b"", "transient", "unreadable"),
    "null": Said(200, b"null", "transient", "unreadable"),
    "half": Said(200, json.dumps(whole()).encode()[:60], "transient", "unreadable"),
    "a page": Said(200, b"<html>sign in</html>", "transient", "unreadable", headers=PAGE),
    "another object": Said(200, {"status": "up"}, "transient", "unreadable"),
}  # fmt: skip

# -- answers whose choice says that it failed: of a whole answer ----------------------------------
CHOICES: dict[str, Said] = {
    "no choice": Said(200, {**whole(), "choices": []}, "transient", "unreadable"),
    "an error in it": Said(200, whole(
        message={"role": "assistant", "content": ""}, finish_reason="error",
        error={"code": 502, "message": "x"}), "transient"),
    "a limit in it": Said(200, whole(
        message={"role": "assistant", "content": ""}, finish_reason="error",
        error={"code": 429, "message": "x"}), "limit"),
    "finish_reason error": Said(200, whole(
        message={"role": "assistant", "content": ""}, finish_reason="error"),
        "transient", "unreadable"),
    "finish_reason error, null": Said(200, whole(
        message={"role": "assistant", "content": None}, finish_reason="error"),
        "transient", "unreadable"),
}  # fmt: skip

# -- streams --------------------------------------------------------------------------------------
STREAMS: dict[str, Said] = {
    "finish_reason error": Said(200, chunk("", "error") + DONE, "transient", "unreadable"),
    "role and finish_reason error": Said(
        200, ROLE + chunk("", "error") + DONE, "transient", "unreadable"),
    "an error in the choice": Said(
        200, chunk("", "error", error={"code": 429, "message": "x"}), "limit"),
    "an error event": Said(200, event(error={"message": "x", "code": "429"}), "limit"),
    "an error event after the role": Said(
        200, ROLE + event(error={"message": "x", "code": "429"}), "limit"),
    "a named event": Said(
        200, b"event: error\n" + event(error={"type": "overloaded_error", "message": "x"}),
        "overloaded"),
    "a text": Said(200, event(error="Rate limit exceeded"), "limit"),
    "a detail": Said(200, event(detail="Too many requests"), "limit"),
    "base_resp": Said(
        200, event(base_resp={"status_code": 1002, "status_msg": "rate limit"}), "limit"),
    "base_resp beside null": Said(
        200, event(id="c", choices=None, created=1, model="m", object="chat.completion.chunk",
                   base_resp={"status_code": 1002, "status_msg": "rate limit"}), "limit"),
    "server_error": Said(
        200, event(error={"type": "server_error", "code": None, "message": "x"}), "transient"),
    "no money": Said(
        200, ROLE + event(error={"code": "insufficient_quota", "message": "x"}),
        "permanent", "billing"),
    "a wait": Said(
        200, event(error={"message": "Please try again in 7s", "code": 429}), "limit", wait_s=7.0),
    "a wait in a header": Said(
        200, event(error={"message": "x", "code": 429}), "limit", wait_s=7.0,
        headers={"retry-after": "7"}),
    "only its end": Said(200, DONE, "transient", "unreadable"),
    "nothing": Said(200, b"", "transient", "unreadable"),
    "pings only": Said(200, b": ping\n\n" * 3, "transient", "unreadable"),
    "no choice at all": Said(
        200, event(id="c", object="chat.completion.chunk", created=1, model="m", choices=[]) + DONE,
        "transient", "unreadable"),
    "ends without a reason": Said(200, ROLE, "transient", "unreadable"),
    "half an event": Said(200, b'data: {"id": "c", "cho\n\n', "transient", "unreadable"),
}  # fmt: skip

# -- what was used: of whole answers, and of streams ----------------------------------------------
CACHED = {"prompt_tokens_details": {"cached_tokens": 900}}
USED: dict[str, Said] = {
    "as usual": Said(200, whole(used(10, 5, 15)), "", tokens=(10, 5)),
    "reasoning outside": Said(200, whole(used(10, 5, 1015)), "", tokens=(10, 1005)),
    "texts": Said(200, whole(used("10", "5", "15")), "", tokens=(10, 5)),
    "a total only": Said(200, whole(used(None, 5, 15)), "", tokens=(10, 5)),
    "cached above all": Said(200, whole(used(10, 5, 15, **CACHED)), "", tokens=(10, 5)),
}
COUNTED: dict[str, Said] = {
    "at the end": Said(
        200, chunk("a") + chunk("", "stop") + counted(used(10, 5, 15)) + DONE, "", tokens=(10, 5)),
    "in the middle": Said(
        200, chunk("a", usage=used(10, 5, 15)) + chunk("", "stop") + DONE, "", tokens=(10, 5)),
    "running totals": Said(
        200, b"".join(chunk("a", usage=used(713, n, 713 + n)) for n in range(1, 21))
        + chunk("", "stop") + DONE, "", tokens=(713, 20)),
    "input at last, the total more": Said(
        200, chunk("a", usage=used(0, 1, 1)) + chunk("", "stop", usage=used(100, 7, 1107)) + DONE,
        "", tokens=(100, 1007)),
    "twice at the end": Said(
        200, chunk("a") + chunk("", "stop", usage=used(10, 5, 15)) + counted(used(10, 5, 15)),
        "", tokens=(10, 5)),
}  # fmt: skip

# -- waits in words --------------------------------------------------------------------------------
WAITS = {
    "Chinese": ("请求过于频繁，请在2秒后重试", 2.0),
    "wide digits": ("请在２秒后重试", 2.0),
    "a Chinese number": ("请在两秒后重试", 2.0),
    "Chinese, no wait": ("请求过于频繁，请稍后再试", 0.0),
    "Chinese, a limit": ("每 60 秒 100 次请求，请稍后再试", 0.0),
    "Chinese, both": ("每分钟限制 60 次，请在 5 秒后重试", 5.0),
    "German": ("Zu viele Anfragen. Bitte in 2 Sekunden erneut versuchen.", 2.0),
    "German, a minute": ("Bitte warten Sie eine Minute.", 60.0),
    "German, a limit": ("60 Anfragen pro 60 Sekunden. Bitte später erneut versuchen.", 0.0),
    "a comma": ("Bitte warten Sie 1,5 Sekunden", 1.5),
    "French": ("Trop de requêtes. Veuillez réessayer dans 2 secondes.", 2.0),
    "French, a limit": ("Limite : 60 requêtes par 60 secondes. Veuillez réessayer.", 0.0),
    "Spanish": ("Demasiadas solicitudes. Inténtelo de nuevo en 2 segundos.", 2.0),
    "Portuguese": ("Muitas solicitações. Aguarde um minuto.", 60.0),
    "Italian": ("Riprova tra 2 secondi", 2.0),
    "Dutch": ("Probeer het over 2 seconden opnieuw", 2.0),
    "Swedish": ("Försök igen om 2 sekunder", 2.0),
    "Russian": ("Слишком много запросов. Повторите попытку через 2 секунды.", 2.0),
    "Ukrainian": ("Спробуйте через 2 секунди", 2.0),
    "Polish": ("Spróbuj ponownie za 2 sekundy", 2.0),
    "Turkish": ("2 saniye sonra tekrar deneyin", 2.0),
    "Vietnamese": ("Vui lòng thử lại sau 2 giây", 2.0),
    "Indonesian": ("Coba lagi dalam 2 detik", 2.0),
    "Arabic": ("حاول مرة أخرى بعد ٢ ثانية", 2.0),
    "Hindi": ("२ सेकंड बाद पुनः प्रयास करें", 2.0),
    "Japanese": ("2秒後に再試行してください", 2.0),
    "Korean": ("2초 후에 다시 시도하세요", 2.0),
    "Thai": ("กรุณาลองใหม่ใน 2 วินาที", 2.0),
    "English": ("Please try again in 2 seconds.", 2.0),
}
WORDED = {
    name: Said(429, refused(text), "limit", wait_s=wait_s) for name, (text, wait_s) in WAITS.items()
}
