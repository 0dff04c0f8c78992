import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from contracts.events import Event
from kernel import settings
from kernel.ids import new_tenant_id
from notifications import catalog, contacts
from notifications.composition import Mail, compose
from notifications.rendering import Content, render
from tests.unit.notifications import scenery

HOSTILE = (
    "<script>alert('1')</script>\r\nBcc: victim@example.com\r\n\r\n"
    "Pay at https://evil.example \u202e"
)
NAMES = [template.name for template in catalog.ALL]


@pytest.fixture(autouse=True)
def without_aws(opened: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(contacts, "require", lambda _tenant: (scenery.OWNER, "Acme Mail"))
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


def mail_of(template: str) -> Mail:
    events: dict[str, Event] = dict(scenery.each_event(new_tenant_id("live")))
    return compose(events[template])


def rendered(template: str) -> Content:
    mail = mail_of(template)
    return render(mail.template, mail.values)


class Page(HTMLParser):
    """What a reader sees of HTML, its links, and everything it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def values_with(mail: Mail, text: str) -> dict[str, Any]:
    """Return the values of a mail in which every text but links is hostile."""
    return {
        name: text if isinstance(value, str) and not value.startswith("http") else value
        for name, value in mail.values.items()
    }


def test_every_template_is_in_the_catalog_and_has_words() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {name for name, _ in scenery.each_event(new_tenant_id("live"))} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_renders_as_text_and_as_html(name: str) -> None:
    content = rendered(name)
    page = Page(content.html)

    assert content.subject
    assert len(content.subject) <= 150
    assert content.subject in page.text
    assert content.subject in " ".join(content.text.split())
    assert "<" not in content.text
    assert "{{" not in content.text + content.html
    assert "None" not in content.text + page.text
    assert len(content.text) > 300


@pytest.mark.parametrize("name", NAMES)
def test_text_and_html_say_the_same(name: str) -> None:
    content = rendered(name)
    html_words = Page(content.html).text
    paragraphs = content.text.partition("\n--\n")[0].strip().split("\n\n")

    for paragraph in paragraphs:
        is_list = ":\n" in paragraph or ": " in paragraph.partition("\n")[0]
        parts = re.split(r":\n|: |\n", paragraph) if is_list else [" ".join(paragraph.split())]
        assert [part for part in parts if part not in html_words] == []


@pytest.mark.parametrize("name", NAMES)
def test_lines_of_text_are_short_enough_for_mail(name: str) -> None:
    lines = rendered(name).text.splitlines()

    assert all(len(line) <= 78 or line.startswith("http") for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_footer_says_why_who_and_where(name: str) -> None:
    content = rendered(name)

    for words in (" ".join(content.text.split()), Page(content.html).text):
        assert "You receive this because" in words
        assert "Mailroom, 1 Example Street, Springfield" in words
        assert "support@mailroom.example" in words


@pytest.mark.parametrize("name", NAMES)
def test_html_loads_nothing_and_runs_nothing(name: str) -> None:
    page = Page(rendered(name).html)

    assert {"img", "script", "iframe", "link", "object", "form", "svg"}.isdisjoint(page.tags)
    assert not any(attribute in {"src", "background", "srcset"} for attribute, _ in page.attributes)
    assert not any(attribute.startswith("on") for attribute, _ in page.attributes)
    assert "url(" not in rendered(name).html


@pytest.mark.parametrize("name", NAMES)
def test_html_is_accessible_and_safe_in_the_dark(name: str) -> None:
    html = rendered(name).html
    page = Page(html)

    assert ("lang", "en") in page.attributes
    assert page.tags.count("h1") == 1
    assert ("content", "light dark") in page.attributes
    assert "@media (prefers-color-scheme: dark)" in html
    layout_tables = [a for a in page.attributes if a == ("role", "presentation")]
    assert len(layout_tables) + page.tags.count("tbody") <= page.tags.count("table")
    assert page.tags.count("th") == sum(a == ("scope", "row") for a in page.attributes)


@pytest.mark.parametrize("name", NAMES)
def test_preheader_comes_first_and_is_hidden(name: str) -> None:
    html = rendered(name).html
    hidden = re.search(r'<div style="display: none;[^>]*>([^<&]+)', html)

    assert hidden is not None
    assert 20 <= len(" ".join(hidden[1].split())) <= 120
    assert html.index(hidden[1]) < html.index("<h1")


@pytest.mark.parametrize("name", NAMES)
def test_links_are_absolute(name: str) -> None:
    content = rendered(name)
    links = [link for link in Page(content.html).links if not link.startswith("mailto:")]

    assert all(link.startswith("http://localhost:4566/") for link in links)
    assert all(link in content.text for link in links)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_where_the_settings_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://api.mailroom.example")
    monkeypatch.setenv("FRONTEND_URL", "https://app.mailroom.example/")
    settings.load.cache_clear()
    mail = mail_of(name).values.values()
    links = [value for value in mail if isinstance(value, str) and "://" in value]

    prefixes = ("https://api.mailroom.example/", "https://app.mailroom.example/")
    assert all(link.startswith(prefixes) for link in links)
    assert not any("//" in link.removeprefix("https://") for link in links)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_values_stay_words(name: str) -> None:
    mail = mail_of(name)
    usual = render(mail.template, mail.values)
    content = render(mail.template, values_with(mail, HOSTILE))
    page, usual_page = Page(content.html), Page(usual.html)

    assert "\n" not in content.subject
    assert "\r" not in content.subject + content.text + content.html
    assert content.text.count("\n\n") == usual.text.count("\n\n")
    assert "\u202e" not in content.subject + content.text + content.html
    assert page.tags == usual_page.tags
    assert page.links == usual_page.links
    assert "<script" not in content.html


def test_an_endless_value_is_cut() -> None:
    mail = mail_of("key_created")
    content = render(mail.template, {**mail.values, "key_name": "x" * 100_000})

    assert len(content.text) < 2_500


def test_a_long_subject_is_cut() -> None:
    mail = mail_of("receipt")
    content = render(mail.template, {**mail.values, "total": "9" * 400})

    assert len(content.subject) == 150
    assert content.subject.endswith("…")


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_value_is_an_error(name: str) -> None:
    mail = mail_of(name)
    needed = [value for value in mail.values if _is_used(mail, value)]

    assert needed == list(mail.values)


def _is_used(mail: Mail, name: str) -> bool:
    """Tell whether some branch of the template fails without the value."""
    rest = {key: value for key, value in mail.values.items() if key != name}
    for variant in _variants(rest):
        try:
            render(mail.template, variant)
        except UndefinedError:
            return True
    return False


def _variants(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield values
    for name, value in values.items():
        if isinstance(value, bool) or name == "next_attempt":
            yield {**values, name: not value if isinstance(value, bool) else None}


def test_an_unknown_template_is_an_error() -> None:
    with pytest.raises(Exception, match=r"nonexistent\.jinja"):
        render(replace(catalog.WELCOME, name="nonexistent"), {})


def test_registration_mail_repeats_nothing_of_the_form() -> None:
    for known in (False, True):
        mail = compose(scenery.registration(known=known))
        content = render(mail.template, mail.values)
        assert "evil.example" not in content.subject + content.text + content.html


def test_the_secret_stands_in_the_link_and_nowhere_else() -> None:
    content = rendered("verification")
    link = f"http://localhost:4566/_aws/execute-api/0a11b0c5/verify-email#token={scenery.SECRET}"

    assert content.text.count(scenery.SECRET) == 1
    assert re.search(r"https?://\S+?#token=(lnk_[\w-]+)\n", content.text)
    assert set(Page(content.html).links) == {link, "mailto:support@mailroom.example"}
    assert scenery.SECRET not in content.subject
