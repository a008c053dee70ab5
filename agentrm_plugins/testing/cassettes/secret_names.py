"""Names that a tool's own arguments give to secrets, by the words within the name.

Law: a name is cut where its words meet (`licenseKey`, `db_pass`, `x-pin`), accents are taken off,
and one word that means a secret is enough, in any of some twenty languages. When in doubt it is a
secret: a hidden harmless value costs a second look, a shown secret costs the key.

Regimes: "key" ends the name of a secret, unless the word before it says what else it is a key of
(`sort_key`). Scripts without blanks are looked for anywhere in the name.

Sources: names of configuration files, of vaults and of the forms of banks; words as dictionaries
have them.
"""

from __future__ import annotations

import re
from unicodedata import normalize

from agentrm_plugins.redaction import names_a_secret

__all__ = ["is_numbered_secret", "may_name_a_secret"]

_CUT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+|(?<=[a-z])(?=\d)")
_WORDS = frozenset(
    # abbreviations, and what is used for signing in
    "pw pwd psw pswd psk pass passwd password passphrase passcode passkey secret secrets cred creds"
    " credential credentials tok token jwt bearer auth oauth authorization authorisation cookie"
    " cookies session sessionid sid sas pat sig signature hmac csrf xsrf webhook dsn connstr"
    " mnemonic pem pfx keystore apikey apikeys apitoken accesskey secretkey privatekey login"
    " mfa totp otp pin puk cvv cvc csc tan ssn sin iban bic passport salt"
    # other languages, without accents
    " passwort kennwort losungswort geheimnis geheim schlussel schluessel zugangsdaten"
    " contrasena contrasenia clave secreto ficha credencial credenciales"
    " motdepasse mdp cle jeton identifiants senha chave segredo parola parolachiave chiave segreto"
    " credenziali wachtwoord sleutel haslo klucz sekret sifre anahtar gizli losenord nyckel passord"
    " adgangskode nokkel nogle salasana avain heslo klic jelszo kulcs lozinka"
    " sandi katasandi matkhau"
    " пароль ключ секрет токен пин парол таина".split()
)
_NUMBERED = frozenset("pin puk cvv cvc csc otp totp tan ssn sin passcode pw pass password".split())
_BEHIND = frozenset({"code", "number", "no", "nr", "value"})  # that of a PIN
_PASSES = frozenset(  # that are no words to sign in
    "all band first high last low mean multi num per second single third total".split()
)
_PAIRS = (
    ({"connection", "conn", "database", "db", "redis", "mongo", "mongodb", "postgres", "amqp",
      "broker"}, {"string", "str", "url", "uri"}),
    ({"seed", "recovery", "backup", "mnemonic"}, {"phrase", "words", "code", "codes"}),
    ({"card", "account", "routing", "tax", "social", "insurance"}, {"number", "no", "security"}),
    ({"mot", "kata", "mat", "palabra"}, {"passe", "sandi", "khau"}),
    ({"verification", "security", "access", "activation"}, {"code", "answer"}),
)  # fmt: skip
_KEYS = frozenset({"key", "keys"})
_OF_OTHER_THINGS = frozenset(
    "cache config dict field foreign group hash idempotency index issue item json lookup map"
    " message messages object order partition primary project property registry routing row s3"
    " search sort state store translation".split()
)
_ANYWHERE = (
    *("密码", "密碼", "口令", "密钥", "密鑰", "秘钥", "令牌", "凭证", "憑證", "验证码", "驗證碼"),
    *("パスワード", "暗証番号", "トークン", "秘密", "認証", "鍵", "비밀번호", "암호", "토큰", "비밀"),
    *("รหัสผ่าน", "पासवर्ड", "كلمة المرور", "كلمة السر", "κωδικ", "συνθημ", "סיסמ", "парол"),
)


def may_name_a_secret(name: str) -> bool:
    """Whether what stands under this name in a tool's arguments may be a secret.

    >>> [may_name_a_secret(one) for one in ("licenceKey", "db_pass", "sort_key", "author")]
    [True, True, False, False]
    """
    if names_a_secret(name):
        return True
    words = _words(name)
    known = set(words)
    if known & _WORDS or any(known & one and known & other for one, other in _PAIRS):
        return True
    if words and words[-1] in _KEYS and not _OF_OTHER_THINGS.intersection(words[-2:-1]):
        return True
    return any(one in name.lower() for one in _ANYWHERE)


def is_numbered_secret(name: str) -> bool:
    """Whether a whole number under this name is a secret, such as a PIN.

    >>> [is_numbered_secret(one) for one in ("card_pin", "pinCode", "pass_count", "high_pass")]
    [True, True, False, False]
    """
    words = _words(name)
    while len(words) > 1 and (words[-1] in _BEHIND or words[-1].isdigit()):
        del words[-1]
    if words[-1:] == ["pass"] and not _PASSES.isdisjoint(words):
        return False
    return not _NUMBERED.isdisjoint(words[-1:])


def _words(name: str) -> list[str]:
    plain = "".join(one for one in normalize("NFKD", name[:200]) if not "\u0300" <= one < "\u0370")
    plain = plain.replace("ı", "i").replace("ł", "l").replace("ø", "o")
    return [word.lower() for word in _CUT.split(plain) if word]
