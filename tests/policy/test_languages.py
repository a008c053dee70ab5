"""Accounts without money and prompts too long in any language; look-alikes that go again."""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.look_alikes import without_machines
from agentrm_plugins.policy.endpoint.phrases import Phrases
from agentrm_plugins.policy.endpoint.retry_class import classify_status
from agentrm_plugins.policy.endpoint.times import wait_in_words_s
from agentrm_plugins.types.verdicts import Kind

NO_MONEY = [
    *("Insufficient token balance", "Your card was declined.", "Recharge required"),
    "You need to add a payment method before making requests.",
    *("Please set up billing to continue", "Account frozen, settle your bill"),
    *("Prepaid tokens used up", "You have $0.00 left", "Key limit exceeded (total limit)."),
    *("Créditos insuficientes", "Créditos insuficientes. Adicione créditos."),
    *("Ha agotado su crédito. Recargue su cuenta.", "No tiene saldo suficiente", "Sin saldo"),
    *("Credito esaurito, ricaricare il conto", "I crediti sono finiti", "Saldo insufficiente"),
    *("Kein Guthaben mehr vorhanden", "Ihr Guthaben reicht nicht aus", "Rechnung unbezahlt"),
    "Bitte laden Sie Ihr Konto auf.",
    *("Brak środków na koncie", "Doładuj konto", "Środki zostały wyczerpane"),
    *("Yetersiz bakiye", "Bakiyeniz tükendi", "Lütfen hesabınıza bakiye yükleyin"),
    *("Onvoldoende saldo", "Uw tegoed is op", "Waardeer uw saldo op"),
    *("Solde insuffisant", "Vous n'avez plus de crédits", "Veuillez recharger votre compte"),
    *("Недостаточно средств на балансе", "Пополните счет", "Баланс исчерпан", "Нет средств"),
    *("Недостатньо коштів на рахунку", "Kontot saknar täckning: saldo slut"),
    *("用户额度不足, 剩余额度: 0", "您的账户已欠费", "账户余额已用完", "请及时充值", "套餐已过期"),
    *("残高が不足しています。", "クレジットを使い切りました", "アカウントにチャージしてください"),
    *("잔액이 부족합니다", "크레딧이 소진되었습니다", "계정을 충전해 주세요"),
    *("Số dư không đủ", "Saldo tidak mencukupi", "رصيدك غير كافٍ", "बैलेंस अपर्याप्त", "เครดิตไม่เพียงพอ"),
]  # fmt: skip
LOOK_ALIKES = [
    *("Load balancer overloaded, insufficient capacity", "load-balanced pool exhausted"),
    *("Load balancer has insufficient healthy targets", "Rebalancing: insufficient replicas"),
    *("Balancing queue exhausted", "Балансировщик нагрузки: недостаточно ресурсов"),
    "Rate limit: 10 credits per second exceeded",
    *("10 crédits par seconde: limite dépassée, crédits épuisés", "每分钟请求额度不足"),
    *("Billing service timeout", "Payment gateway failed", "Account pool busy"),
    *("Account pool exhausted, retry later", "Wallet node unavailable, no active replica"),
    *("The shared on-demand quota pool is exhausted, retry later", "Quota service exhausted"),
    *("Upstream retry budget exhausted", "Time budget exhausted", "Flow control credits exhausted"),
    *("CPU credits depleted on worker 3", "Credential pool exhausted, try again later"),
    *("Insufficient memory on worker for account shard 3", "Plan cache exhausted, retry"),
    *("Accounting service is down: insufficient replicas", "Fundamental model out of slots"),
    *("账户限速，充值后可提升速率", "当前分组上游负载已饱和，请稍后再试", "并发额度已用完"),
    "Tiempo de espera agotado al consultar el saldo",
    *("利用可能なエンドポイントがありません", "엔드포인트 용량이 부족합니다", "浮点数资源不足"),
    "Ihr Konto hat zu viele Anfragen gesendet. Bitte laden Sie die Seite neu.",
    *(
        "Trop de requêtes pour votre compte. Rechargez la page.",
        "当前额度 100，已用 100，请稍后再试",
    ),
    *("Demasiadas solicitudes desde su cuenta. Recargue la página.", "GPU配额不足，请稍后重试"),
    "Demasiadas solicitudes. Tenga en cuenta el límite y agregue una pausa.",
    "Muitas solicitações da sua conta. Recarregue a página.",
    "Te veel verzoeken. Houd rekening met de limiet en voeg een pauze toe.",
    "För många förfrågningar. Vänta en kort stund och ladda om sidan.",
    "Troppe richieste: tenere conto del limite e aggiungere una pausa",
    "Запросов слишком много за счет одного ключа, ресурсы исчерпаны",
]
TOO_LONG = [
    *("Prompt 超长", "对话内容过长", "La entrada supera la longitud máxima de contexto"),
    *("Die Eingabe ist länger als das Kontextfenster", "Le prompt est trop long"),
    *("O prompt é muito longo", "L'input supera il contesto", "Промпт слишком длинный"),
    *("プロンプトが長すぎます", "프롬프트가 너무 깁니다: 입력이 초과", "De prompt is te lang"),
    "max_tokens is too large: total context would exceed 8192",
]
NOT_TOO_LONG = [
    "messages[3].name exceeds the maximum length of 64",
    *("Message name is too long", "messages: the id must be shorter, input id exceeds the size"),
    *("图片超过最大上下文", "El nombre excede el contexto", "Das Bild im Prompt ist zu groß"),
]


@pytest.mark.parametrize("text", NO_MONEY)
def test_an_account_without_money_in_any_language(text):
    """Words of money beside words of lack, in either order: not asked again."""
    verdict = classify_status(429, "", text)
    assert (verdict.kind, verdict.why) == (Kind.PERMANENT, "billing")


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_what_is_named_after_money_is_none(text, status):
    """A balancer, a service, a pool, a rate of credits: asked again."""
    assert classify_status(status, "", text).retryable


@pytest.mark.parametrize("text", TOO_LONG)
def test_a_prompt_that_is_too_long_in_any_language(text):
    """Named, so that it can be compacted."""
    assert classify_status(400, "", text).why == "too_long"


@pytest.mark.parametrize("text", NOT_TOO_LONG)
def test_a_field_or_a_picture_that_is_too_large_is_no_prompt(text):
    """Of which no compaction makes less."""
    assert classify_status(400, "string_above_max_length", text).why == ""


def test_no_phrase_is_found_within_another_word():
    """But with its own endings, beside marks, and where a script has no blanks."""
    own = Phrases(["balance ... insufficient", "余额不足", "over budget"])
    assert own.found("balances: insufficient")
    assert own.found("code_balance_insufficient")
    assert own.found("您的余额不足，请")
    assert not own.found("balancer: insufficient")
    assert not own.found("rebalance: insufficient")
    assert not own.found("over budgeting")


def test_a_star_is_the_rest_of_a_word():
    """Where words stand in the place of each other."""
    meant = Phrases(["credit*|fund ... gone"])
    assert meant.found("credito is gone")
    assert not meant.found("fundamentals are gone")
    assert not meant.found("credito is gone", meant=False)


def test_a_machine_takes_no_money_from_its_sentence():
    """What else is said there counts."""
    assert without_machines("payment gateway: insufficient funds") == "machine: insufficient funds"
    assert classify_status(429, "", "Billing service: insufficient funds").why == "billing"


@pytest.mark.parametrize(
    "text",
    [
        *("Bitte in 3 Sek. erneut versuchen", "Inténtelo de nuevo en 3 seg.", "Vent 3 sek."),
        *("Réessayez dans 3 sec. au plus tôt", "3 sn. sonra tekrar deneyin"),
        *("Spróbuj ponownie za 3 sek.", "Riprovare tra 3 sec.", "probeer over 3 sec. opnieuw"),
        *("Requests throttled for another 3 seconds", "Blocked for 3s"),
    ],
)
def test_a_wait_in_a_short_unit_or_after_another_verb(text):
    """The dot of "Sek." ends no sentence."""
    assert wait_in_words_s(text) == 3.0


@pytest.mark.parametrize(
    "text", ["Throttled: 60 requests in 60 seconds", "60 requests per 3 sec, blocked"]
)
def test_a_quota_beside_such_a_verb_is_no_wait(text):
    """It counts requests."""
    assert wait_in_words_s(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("系统十分繁忙，请稍后重试", "十分に時間を置いて再試行してください"),
        *("已使用三分之二，请稍后重试", "您在24小时内的请求次数超过限制，请稍后重试"),
        *(
            "Ha superado los 3 intentos en 10 minutos",
            "60 solicitudes cada 10 minutos, intente luego",
        ),
        "Maximal 100 Anfragen alle 60 Minuten, bitte später erneut versuchen",
        "Maximal 100 Anfragen in 60 Minuten, bitte erneut versuchen",
        "100 requêtes toutes les 10 minutes, réessayez plus tard",
        "100 richieste ogni 60 minuti, riprova più tardi",
        "Обработаны 3 части запроса, попробуйте снова",
        "Превышен лимит 100 запросов за 24 часа, попробуйте снова позже",
        *("Key suspended 30 days ago", "Request throttled (1 hour limit: 5000)"),
        "Request blocked: 3 minutes of audio are too long",
    ],
)
def test_a_time_of_something_else_is_no_wait(text):
    """In which so much is counted, that is over, or that is no time at all."""
    assert wait_in_words_s(text) is None


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        *(("请三十秒后重试", 30.0), ("请二十五秒后重试", 25.0), ("请十分钟后重试", 600.0)),
        *(("一分後に再試行", 60.0), ("5分钟之后重试", 300.0), ("10분 동안 기다려 주세요", 600.0)),
        *(("Bitte in 5 Sekunden erneut", 5.0), ("Fehler 429 erneut in 5 Sekunden", 5.0)),
    ],
)
def test_a_number_of_several_signs(text, wait_s):
    """And times that look like those which are no waits."""
    assert wait_in_words_s(text) == wait_s
