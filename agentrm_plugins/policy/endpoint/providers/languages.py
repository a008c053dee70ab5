"""An account without money, and a prompt that is too long, as other languages say it.

Law: words of money beside words of lack, or what holds money beside what one is asked to do about
it, in either order; of lengths likewise. Who writes "kein Guthaben mehr", "Guthaben reicht nicht"
or "laden Sie Ihr Konto auf" means one thing, so no sentence is listed.

Limits: these languages, and English in `meanings`. Word ends that change are written "*".

Sources: the languages' own words, as resellers, house gateways and translated pages put them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agentrm_plugins.types.provider import Provider

__all__ = ["LANGUAGES"]


class _Money(NamedTuple):
    """Words of money and of lack, of what holds money, and of filling it; what says it alone."""

    money: str
    lack: str
    holder: str = ""
    fill: str = ""
    alone: str = ""


class _Length(NamedTuple):
    """Words of a text, and of its being too long."""

    text: str
    long: str


_MONEY = (
    _Money(  # German
        "guthaben|saldo|kontostand|kontingent|credits|budget|rechnung*|kreditrahmen",
        "aufgebraucht|erschöpft|verbraucht|reicht nicht|reichen nicht|nicht ausreichend*|kein*"
        "|nicht genügend|nicht genug|unzureichend*|ungenügend*|zu niedrig|zu gering|negativ*|leer"
        "|unbezahlt*|überfällig*|gesperrt",
        "konto|guthaben|rechnung|zahlungsmethode|zahlungsmittel|kreditkarte|credits",
        "aufladen|aufzuladen|laden sie|lade dein|bezahlen|begleichen|hinterlegen|hinterlegt",
    ),
    _Money(  # Spanish
        "crédito*|credito*|saldo|fondos|presupuesto|factura*|prepago",
        "insuficiente*|agotad*|agotó|no hay|no tiene*|no queda*|negativ*|vencid*|impagad*"
        "|pendiente*|se acab*",
        "cuenta|método de pago|metodo de pago|saldo|crédito*|credito*|tarjeta|facturación",
        "recarg*|añad*|agreg*|configure|pague|abone",
        "sin saldo|sin crédito|sin credito|sin fondos",
    ),
    _Money(  # French
        "crédit*|solde|fonds|provision|budget|forfait|facture*",
        "insuffisant*|épuisé*|consommé*|négatif|négative|n'avez plus|n'a plus|n'y a plus|aucun*"
        "|pas assez|pas suffisamment|impayé*|expiré*|en retard",
        "compte|solde|crédit*|moyen de paiement|carte|facture",
        "recharge*|réapprovisionne*|approvisionne*|ajoute*|régle*|renseigne*",
    ),
    _Money(  # Portuguese
        "crédito*|credito*|saldo|fundos|orçamento|fatura*",
        "insuficiente*|esgotad*|esgotou|esgotaram|acabou|acabaram|negativ*|não há|não possui"
        "|não tem|nenhum*|vencid*|pendente*|zerad*|em atraso",
        "conta|crédito*|saldo|forma de pagamento|método de pagamento|cartão|faturamento",
        "recarreg*|adicion*|pague",
        "sem saldo|sem crédito|sem fundos",
    ),
    _Money(  # Italian
        "credito|crediti|saldo|fondi|fattur*|budget",
        "insufficient*|esaurit*|terminato|terminati|finito|finiti|negativ*|scadut*|non hai|non ha"
        "|nessun*|non pagat*|insolut*|non sono sufficient*|non è sufficient*",
        "conto|credito|crediti|saldo|metodo di pagamento|carta",
        "ricaric*|aggiung*|pagare",
    ),
    _Money(  # Dutch
        "saldo|tegoed*|krediet*|credits|budget|factuur|facturen",
        "onvoldoende|ontoereikend*|opgebruikt|uitgeput|is op|zijn op|te laag|negatie*|geen"
        "|onbetaald*|verlopen",
        "tegoed|saldo|krediet|credits|betaalmethode|betaalmiddel|rekening",
        "opwaarder*|waardeer*|voeg*|betaal",
    ),
    _Money(  # Polish
        "środk*|saldo|salda|kredyt*|fundusz*|faktur*",
        "brak|brakuje|niewystarczając*|wyczerpan*|wyczerpał*|za mało|zbyt mało|za niskie|ujemn*"
        "|nieopłacon*|nie masz|zużyt*|skończył*",
        "konto|konta|saldo|środk*|metod* płatności|kart*",
        "doładuj*|zasil*|opłać",
    ),
    _Money(  # Turkish
        "bakiye*|kredi|krediniz*|kredisi|bütçe*|fatura*",
        "yetersiz*|yeterli|tükendi|tükenmiş*|bitti|bitmiş*|kalmadı|yok|eksi|negatif|ödenmemiş*",
        "bakiye*|hesab*|kredi|ödeme yöntemi",
        "yükle*|ekle*|ödeyin",
    ),
    _Money(  # Russian, Ukrainian
        "средств*|баланс|баланса|балансе|кредит|кредита|кредитов|кредиты|счет|счёт|счета|счёта"
        "|счете|счёте|коштів|кошти",
        "недостаточно|не хватает|закончил*|исчерпан*|израсходован*|отрицательн*|нулевой|пуст"
        "|неоплачен*|просрочен*|недостатньо|вичерпан*|закінчил*",
        "счет|счёт|баланс|кредиты|аккаунт|рахунок",
        "пополн*|оплат*|поповн*",
        "нет средств|нет денег|нет кредитов|немає коштів",
    ),
    _Money(  # Swedish, Norwegian, Danish
        "saldo|saldot|kredit|krediter|kreditter|tillgodohavande*|pengar|penger|penge|faktura*"
        "|midler|medel",
        "otillräcklig*|slut|förbrukad*|förbrukat|för lågt|negativ*|inga|ingen|obetald*"
        "|utilstrækkelig*|utilstrekkelig*|brukt opp|opbrugt|ikke nok|inte tillräckligt|för lite",
        "konto|kontot|kontoen|saldo|betalningsmetod|betalingsmetode|kort",
        "fyll på|ladda|fyll opp|optank|lägg till|legg til|tilføj",
    ),
    _Money(  # Vietnamese
        "số dư|tín dụng", "không đủ|đã hết|hết|âm", "tài khoản|tiền|số dư", "nạp",
        "hết tiền|đã hết tiền"),
    _Money(  # Indonesian
        "saldo|kredit|dana", "tidak cukup|tidak mencukupi|habis|kurang|kosong",
        "saldo|akun|kredit", "isi ulang|top up"),
    _Money(  # Chinese
        "余额|餘額|额度|額度|点数|點數|积分|積分|配额|配額|资源包|資源包|套餐|预算|預算|费用|費用"
        "|信用",
        "不足|不够|不夠|用完|用尽|用盡|耗尽|耗盡|已用|为零|為零|: 0|:0|\uff1a0|透支|过期|過期"
        "|到期|为负",
        "账户|帐户|帳戶|賬戶|账号|余额|餘額|额度",
        "充值|续费|續費|儲值|储值|缴费|繳費|付款",
        "请充值|請充值|请先充值|请及时充值|欠费|欠費",
    ),
    _Money(  # Japanese
        "残高|クレジット|残額|予算|ポイント",
        "不足|足りません|足りない|ありません|ゼロ|使い切|使い果た|なくなり|尽き|マイナス",
        "アカウント|残高|クレジット|支払い方法|お支払い",
        "チャージし|補充し|入金|追加してください|購入してください",
    ),
    _Money(  # Korean
        "잔액|크레딧|잔고|예산|포인트",
        "부족|없습니다|소진|모두 사용|다 사용|충분하지|마이너스",
        "계정|잔액|크레딧|결제 수단",
        "충전|추가하십시오|추가해|등록해",
    ),
    _Money(  # Arabic
        "رصيد*|الرصيد|رصيدك", "غير كاف*|نفد|نفذ|انتهى|لا يكفي|منخفض", "رصيد*|حساب*", "اشحن|شحن"),
    _Money(  # Hindi
        "बैलेंस|शेष राशि|क्रेडिट", "अपर्याप्त|समाप्त|खत्म|ख़त्म|पर्याप्त नहीं|कम है", "खाता|खाते|बैलेंस", "रिचार्ज"),
    _Money(  # Thai
        "ยอดเงิน|เครดิต|เงินคงเหลือ", "ไม่เพียงพอ|ไม่พอ|หมด", "บัญชี|เครดิต", "เติมเงิน"),
)  # fmt: skip

_LENGTH = (
    _Length(
        "eingabe|kontext*|anfrage|prompt|nachricht*|unterhaltung",
        "zu lang|zu groß|überschreit*|übersteig*|länger als",
    ),
    _Length(
        "prompt|entrada|contexto|mensaje*|conversación",
        "demasiado larg*|supera|superan|excede*|sobrepasa*|más larg*",
    ),
    _Length(
        "prompt|entrée|contexte|message*|conversation",
        "trop long*|dépass*|excèd*|plus longue que|plus long que",
    ),
    _Length(
        "prompt|entrada|contexto|mensage*|conversa",
        "muito long*|longo demais|longa demais|excede*|ultrapassa*",
    ),
    _Length(
        "prompt|input|contesto|messaggi*|conversazione",
        "troppo lung*|supera|superano|eccede*|più lung*",
    ),
    _Length("prompt|invoer|context|bericht*|gesprek", "te lang|overschrijd*|langer dan"),
    _Length("prompt|kontekst*|wiadomoś*|wejści*", "zbyt dług*|za dług*|przekracza*|dłuższ*"),
    _Length("istem|girdi|bağlam*|mesaj*|prompt", "çok uzun|aşıyor|aşmakta|aşıldı"),
    _Length(
        "промпт|контекст*|ввод|сообщени*|входн*",
        "слишком длинн*|слишком больш*|превыша*|превыс*|длиннее",
    ),
    _Length(
        "prompt|输入|輸入|上下文|提示词|提示詞|消息|訊息|对话|對話",
        "超长|超長|过长|過長|太长|太長|超过|超過|超出|超限",
    ),
    _Length("プロンプト|入力|コンテキスト|メッセージ|会話", "長すぎ|超えて|超えま|超過|上回"),
    _Length("프롬프트|입력|컨텍스트|메시지|대화", "너무 길|초과|넘"),
)


def _either_way(one: str, other: str) -> Iterator[str]:
    yield f"{one} ... {other}"
    yield f"{other} ... {one}"


def _billing() -> Iterator[str]:
    for said in _MONEY:
        yield from _either_way(said.money, said.lack)
        yield from _either_way(said.holder, said.fill)
        if said.alone:
            yield said.alone


def _too_long() -> Iterator[str]:
    for said in _LENGTH:
        yield from _either_way(said.text, said.long)


LANGUAGES = Provider(
    name="in other languages",
    source="words of seventeen languages for money and for what is lacking, and for lengths",
    billing=tuple(_billing()),
    too_long=tuple(_too_long()),
)
