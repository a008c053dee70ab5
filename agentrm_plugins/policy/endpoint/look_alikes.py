"""What looks like an account without money, or a prompt that is too long, and is neither.

Law: what is counted by time is a limit, whatever it counts ("credits per second"); a part of a
machine that is named after money is no money ("load balancer", "billing service", "retry budget"),
nor is a point that ends, a page that is to be loaded again, or a word of account in an idiom. Who
says in another language to come back later speaks of a rate.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["is_of_other_things", "is_paced", "without_machines"]

_TEXTS = 16  # those of a storm are alike
_PACE = re.compile(
    r"\bper (?:second|sec|minute|min|hour)\b|/ ?(?:s|sec|second|min|minute)\b|\b[rt]p[ms]\b|\bqps\b"
    r"|rate.limit|\bbuckets?\b|\bslow down\b|\bplease wait\b|\bload.balanc"
    r"|\bconcurren(?:t|cy)\b|\b(?:every|each) (?:second|minute|hour)\b"
    r"|\bpro (?:sekunde|minute)|\bpar (?:seconde|minute)|\bpor (?:segundo|minuto)"
    r"|\bal (?:secondo|minuto)\b|\bper seconde\b|\bper minuut\b|\bna (?:sekundę|minutę)"
    r"|\bв (?:секунду|минуту)|\b(?:saniyede|dakikada)\b|\bsaniye başına|\bdakika başına"
    r"|\bper (?:detik|menit)\b|\bmỗi (?:giây|phút)"
    r"|每秒|每分|毎秒|毎分|秒あたり|分あたり|초당|분당|速率|频率|頻率|限速|限流|并发|併發"
    r"|\b(?:diese[nr]?|cette|est[ae]|quest[ao]|deze)"
    r" (?:sekunde|minute|seconde|segundo|minuto|minuut)\b"
    r"|\bspäter (?:erneut|noch ?mal|wieder)|\bplus tard\b|\bmás tarde\b|\bmais tarde\b"
    r"|\bpiù tardi\b"
    r"|\bpóźniej\b|\bdaha sonra\b|\bпозже\b|\bпізніше\b|\b(?:senare|senere|seinere)\b"
    r"|\bprobeer (?:het )?later\b|稍[后後]再?[试試重]|しばらく|잠시 후"
)
_OTHER = re.compile(
    r"\b(?:images?|files?|audio|videos?|pdfs?|strings?|arrays?|attachments?|keys?|bytes|mb"
    r"|integers?|stop sequences?|metadata|(?:completion|output) tokens)\b"
    r"|\bdeadline|\btime-?outs?\b|\btimed out\b"
    r"|\b(?:should|must) be (?:strictly )?(?:greater|larger|more|longer|less|smaller)\b"
    # a field that has a length of its own, by its path or as what the sentence is about
    r"|[\])]\.(?:name|id|role|title|label|url|description|tool_call_id)\b"
    r"|\b(?:name|id|identifier|title|label|url|description|user field)s?['\"`]?:? "
    r"(?:is|are|has|have|exceed|too|must|cannot|can|longer|should|length)"
    r"|\b(?:imagen|imágenes|archivo|fichier|bild|datei|immagine|afbeelding|bestand|nombre)\b"
    r"|изображ|файл|图片|圖片|图像|文件|檔案|画像|ファイル|이미지|파일|名称|名前"
)
_NAMED_AFTER_MONEY = (
    r"credits?|accounts?|accounting|balance|billing|budget|funds?|invoices?|payments?|quota"
    r"|subscriptions?|wallets?|plan"
)
_MACHINE = (
    r"api|back-?end|caches?|checks?|clusters?|database|db|endpoint|hosts?|gateway|look-?ups?|nodes?"
    r"|pool|process(?:or|ing)|provider|queue|replicas?|servers?|service|shards?|systems?|workers?"
)
_MACHINES = re.compile(
    rf"\b(?:{_NAMED_AFTER_MONEY})[ -](?:{_MACHINE})\b"
    r"|\bload.?balanc\w*|\bbalanc(?:er|ers|ing)\b|\bto balance\b|\brebalanc\w*"
    r"|\bbalanced\b|\bbalance of (?:load|requests|traffic|work)\b|\b(?:gpu|graphics) cards?\b"
    r"|\b(?:retry|retries|error|time|latency|thinking|reasoning|context|memory) budget"
    r"|\b(?:cpu|burst|i/?o|flow.?control) credits?|\bcredit.based\b"
    r"|балансиров\w*"
    r"|(?:エンド|チェック|アクセス)ポイント|(?:엔드|체크|액세스)포인트|浮[点點]数"
    r"|\bladen sie (?:bitte )?(?:die|diese|ihre) (?:seite|web\w*|anwendung|app)\b"
    r"|\bre(?:charge[rz]?|cargue|cargar|carregue|carregar) (?:la|cette|a|esta) p[aá]gi?n?[ea]\b"
    r"|\bricaric\w* la pagina\b|\bladda om\b|\bsayfa\w* (?:yeniden )?yükle\w*"
    r"|\b(?:ten\w*|tom[ae]r?) en cuenta\b|\b(?:ten|tien)\w* conto\b|\blev(?:e|ar) em conta\b"
    r"|\bcompte tenu\b|\bten(?:ir|ez) compte\b|\bhoud\w* (?:er )?rekening\b"
    r"|\brekening (?:te )?houd\w*"
    r"|\bkort (?:stund|tid|tag)\b|\bза сч[её]т\b"
    r"|tiempo (?:de espera |límite )?agotado|tempo (?:limite |de espera )?esgotado|tempo scaduto"
)


@lru_cache(maxsize=_TEXTS)
def is_paced(text: str) -> bool:
    """Whether a refusal, in lower case, speaks of a rate."""
    return _PACE.search(text) is not None


def is_of_other_things(text: str) -> bool:
    """Whether what is too long there may be no prompt."""
    return _OTHER.search(text) is not None


@lru_cache(maxsize=_TEXTS)
def without_machines(text: str) -> str:
    """The text without what is named after money and is none.

    >>> without_machines("load balancer overloaded, insufficient capacity")
    'machine overloaded, insufficient capacity'
    """
    return _MACHINES.sub("machine", text)
