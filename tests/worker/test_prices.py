"""The price table: what comes with the package, and the file that replaces some of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.worker.costs.prices import read_prices
from outlast.worker.settings import InvalidSettings, read_settings


def test_a_file_replaces_the_keys_that_it_gives(tmp_path: Path) -> None:
    """Who has a discount on one price would have to copy the whole table, and lose its updates."""
    own = tmp_path / "prices.toml"
    own.write_text(
        'date = 2027-01-31\nregion = "eu-central-1"\n[million]\nsqs = 0.32\n'
        '[second]\nlocal = 0.001\n"spot/c7g.large" = 0.0000201\n'
    )
    shipped, prices = read_prices(None), read_prices(own)
    assert (str(prices.date), prices.region) == ("2027-01-31", "eu-central-1")
    assert prices.currency == shipped.currency
    assert prices.million == shipped.million | {"sqs": 0.32}
    assert prices.worker_second("local") == 0.001
    assert prices.worker_second("spot/c7g.large") == 0.0000201
    assert prices.worker_second("runpod/A40") == shipped.worker_second("runpod/A40") == 0.00034


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[million]\nsqs = -1", "million.sqs: "),
        ("[million]\nsqs = nan", "million.sqs: "),
        ("[million]\nsqs = true", "million.sqs: "),
        ("[second]\nlocal = '1'", "second.local: "),
        ("second = 1", "second: "),
        ("[millions]\nsqs = 1", "millions: "),
        ("[million]\n's3.put' = 1", "there is no price million.'s3.put'; there are: lambda, "),
        ("[gb_second]\n'lambda/arm' = 1", "there is no price gb_second.'lambda/arm'"),
        ("date = 'soon'", "date: "),
        ("currency = 'EUR'", "currency: Input should be 'USD'"),
        ("date", "Expected '='"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    """A slip would leave the old price in force, or end in a traceback."""
    own = tmp_path / "prices.toml"
    own.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidSettings) as refused:
        read_prices(own)
    assert str(refused.value).startswith(f"OUTLAST_PRICES={str(own)!r}: ")
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """The shipped prices would be taken for one's own."""
    with pytest.raises(InvalidSettings, match=r"^OUTLAST_PRICES='.*': \w[\w ]+$"):
        read_prices(tmp_path / name)


def test_the_setting_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable would be refused as unknown."""
    monkeypatch.setenv("OUTLAST_PRICES", "/etc/prices.toml")
    assert read_settings().prices == Path("/etc/prices.toml")
