"""Which hashes are made and accepted, and which passwords are not."""

import bcrypt
import pytest

from identity import passwords
from identity.errors import WeakPasswordError


def test_new_hashes_are_argon2id_as_owasp_says() -> None:
    made = passwords.hash_password("three unusual birds")
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify("three unusual birds", made)
    assert not passwords.verify("three unusual bird", made)
    assert not passwords.is_outdated(made)


def test_a_password_typed_on_another_keyboard_fits() -> None:
    made = passwords.hash_password("ﬁve caf\u00e9s")
    assert passwords.verify("five cafe\u0301s", made)


@pytest.mark.parametrize("long_password", ["three unusual birds", "x" * 100])
def test_bcrypt_is_accepted_and_outdated(long_password: str) -> None:
    imported = bcrypt.hashpw(long_password.encode()[:72], bcrypt.gensalt(4)).decode()
    assert passwords.verify(long_password, imported)
    assert not passwords.verify("another password", imported)
    assert passwords.is_outdated(imported)


@pytest.mark.parametrize(
    "broken", ["", "$2b$04$", "$argon2id$v=19$", "plain", "$2b$04$" + "é" * 53]
)
def test_a_broken_hash_fits_nothing(broken: str) -> None:
    assert not passwords.verify("three unusual birds", broken)


def test_nobodys_hash_costs_what_others_cost_and_fits_nothing() -> None:
    assert not passwords.is_outdated(passwords.NOBODYS_HASH)
    assert not passwords.verify("", passwords.NOBODYS_HASH)


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PASSWORD",
        "Password1",
        "12345678",
        "qwertyuiop",
        "P@ssw0rd",
        "Welcome123",
        "aaaaaaaaaa",
        "abababababab",
        "acmemail",
        "AcmeMail2026",
        "acme1234",
        "1234acme",
        "ada.lovelace",
        "lovelace99",
        "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44",
    ],
)
def test_what_others_try_first_is_refused(password: str) -> None:
    with pytest.raises(WeakPasswordError) as refused:
        passwords.refuse_weak(password, about=["ada.lovelace@acme.example", "Acme Mail"])
    assert refused.value.errors[0].field == "body.password"


@pytest.mark.parametrize(
    "password",
    [
        "three unusual birds",
        "acme is where I work",
        "Tr0ub4dor&3",
        "пароль-не-простой",
        "ada-likes-42",
    ],
)
def test_others_are_good_enough(password: str) -> None:
    passwords.refuse_weak(password, about=["ada.lovelace@acme.example", "Acme Mail"])


def test_the_list_is_folded_and_long_enough() -> None:
    listed = passwords._common()
    assert len(listed) > 300
    assert all(word == word.casefold() and len(word) >= 8 for word in listed)
