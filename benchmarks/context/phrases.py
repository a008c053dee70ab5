"""How planted facts are worded: one set to develop with, one held out that was never tuned on.

A template is (subject, telling, correction, question, kind of value). `{v}` is the value, `{o}` the
value before it.
"""

from __future__ import annotations

DEVELOP = [
    ("staging port", "The staging gateway listens on port {v}.",
     "Actually, the staging gateway moved to port {v}.",
     "Which port does the staging gateway listen on?", "port"),
    ("invoice", "Please file this under invoice {v} for the Hamburg office.",
     "Correction: the Hamburg office invoice is {v}, not {o}.",
     "What is the invoice for the Hamburg office?", "ident"),
    ("budget", "We agreed that the marketing budget for the spring campaign is {v}.",
     "The marketing budget for the spring campaign was changed to {v}.",
     "How much is the marketing budget for the spring campaign?", "money"),
    ("deadline", "The tax audit deadline is {v}.", "The tax audit deadline has been moved to {v}.",
     "When is the tax audit deadline?", "date"),
    ("owner", "{v} owns the billing service.", "{v} now owns the billing service instead of {o}.",
     "Who owns the billing service?", "name"),
    ("path", "By the way, the nightly backups are written to {v}.",
     "The nightly backups are now written to {v}.", "Where are the nightly backups written?",
     "path"),
    ("branch", "Let's keep the refactoring on branch {v} until the release.",
     "Scratch that, the refactoring is on branch {v} now.", "Which branch is the refactoring on?",
     "branch"),
    ("rechnung", "Die Kundennummer von Bäckerei Lindner ist {v}.",
     "Korrektur: die Kundennummer von Bäckerei Lindner ist {v}.",
     "Wie lautet die Kundennummer von Bäckerei Lindner?", "ident"),
    ("code", "Le code d'accès du dépôt de Lyon est {v}.",
     "En fait, le code d'accès du dépôt de Lyon est {v}.",
     "Quel est le code d'accès du dépôt de Lyon ?", "ident"),
    ("zh", "深圳仓库的订单编号是{v}。", "更正：深圳仓库的订单编号改为{v}。",
     "深圳仓库的订单编号是多少？", "ident"),
    ("version", "We pinned the parser library at version {v}.",
     "We had to change the pinned parser library to version {v}.",
     "At which version is the parser library pinned?", "version"),
    ("uuid", "The tracking id of the Oslo shipment is {v}.",
     "Update: the tracking id of the Oslo shipment is {v}.",
     "What is the tracking id of the Oslo shipment?", "uuid"),
]  # fmt: skip

HELD_OUT = [
    ("locker", "My locker at the gym is number {v}, downstairs.",
     "They gave me another locker at the gym, number {v} this time instead of {o}.",
     "What's my locker number at the gym?", "port"),
    ("visa", "For the visa form: passport reference {v} belongs to Anneke.",
     "I mistyped Anneke's passport reference, it should read {v}.",
     "Can you fill in Anneke's passport reference?", "ident"),
    ("quote", "Their quote for replacing the roof came in at {v}.",
     "They revised the quote for the roof; it is {v} now.",
     "How much did they quote us for replacing the roof?", "money"),
    ("wedding", "My sister's wedding takes place on {v} in Porto.",
     "My sister's wedding in Porto got postponed to {v}.",
     "On what date is my sister's wedding?", "date"),
    ("doctor", "The cardiologist we trust is {v}.",
     "The cardiologist retired, {v} took over from {o}.",
     "Who is the cardiologist we trust?", "name"),
    ("dataset", "I put the cleaned census data into {v} for the notebook.",
     "I renamed the file: the cleaned census data is in {v} now.",
     "In which file is the cleaned census data?", "path"),
    ("flag", "Turn on feature flag {v} before the checkout experiment.",
     "For the checkout experiment use feature flag {v} rather than {o}.",
     "Which feature flag goes with the checkout experiment?", "branch"),
    ("vertrag", "Unser Mietvertrag läuft unter Aktenzeichen {v}.",
     "Das Aktenzeichen vom Mietvertrag hat sich geändert, jetzt {v}.",
     "Unter welchem Aktenzeichen läuft der Mietvertrag?", "ident"),
    ("vuelo", "Nuestro vuelo a Bogotá es el {v}.",
     "Nos cambiaron el vuelo a Bogotá, ahora es el {v}.", "¿Cuál es nuestro vuelo a Bogotá?",
     "ident"),
    ("ja", "大阪支店の契約番号は{v}です。", "訂正：大阪支店の契約番号は{v}です。",
     "大阪支店の契約番号は何ですか？", "ident"),
    ("firmware", "The greenhouse sensors run firmware {v}.",
     "We flashed the greenhouse sensors, firmware is {v} now.",
     "What firmware do the greenhouse sensors run?", "version"),
    ("token", "The correlation id of the failed payment was {v}.",
     "Wrong one. The correlation id of the failed payment is {v}.",
     "What was the correlation id of the failed payment?", "uuid"),
]  # fmt: skip

QUALIFIERS = [
    "", "north ", "second ", "internal ", "European ", "legacy ", "mobile ", "night-shift ",
]  # fmt: skip
"""Tell several facts of one template apart: put before the subject's first noun phrase."""

SMALL_TALK = [
    "Thanks, go on with the next part.", "Could you double-check that and continue?",
    "Looks good so far. What else is in there?", "Let's take the next file.",
    "Hmm, that is slower than I hoped, but fine.", "Please summarise what you have seen so far.",
    "Okay, and after that?", "Weiter bitte.", "继续。", "Carry on, I'll read along.",
]  # fmt: skip

ANSWERS = [
    "I went through it; nothing unusual stands out, so I will move to the next item.",
    "Done. The structure is consistent with what we saw before and the checks pass.",
    "I compared both variants and kept the simpler one, since the behaviour is the same.",
    "This part needs a closer look later; for the moment it does not block anything.",
    "Understood, I have taken that into account and will use it from here on.",
]  # fmt: skip
WORDS = (
    "river stone market engine garden window paper signal cotton bridge winter copper lantern "
    "harbour meadow circuit velvet anchor pepper canyon mirror saddle timber walnut orchid"
).split()
