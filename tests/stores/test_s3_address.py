"""Addresses of object stores: what they say, and that nothing of a wrong one is shown."""

from __future__ import annotations

import pytest

from lifecycle.core.errors import InvalidDocument
from lifecycle.stores.s3.address import parse


def test_an_address_names_endpoint_region_account_and_our_bucket() -> None:
    """Credentials may stand in it, percent-encoded; AWS names no host."""
    here = parse("s3+http://KEY:a%2Fb@127.0.0.1:8333/?own=lifecycle-own")
    assert (here.endpoint, here.region, here.own) == ("http://127.0.0.1:8333", "us-east-1", "lifecycle-own")
    assert (here.key, here.secret, here.path_style) == ("KEY", "a/b", True)
    there = parse("s3+https://K:S@files.example.com/?region=eu&style=virtual&own=lifecycle-own")
    assert (there.endpoint, there.path_style) == ("https://files.example.com", False)
    aws = parse("s3://?region=eu-central-1&owner=123456789012&own=lifecycle-own")
    assert (aws.endpoint, aws.key, aws.owner, aws.path_style) == (None, None, "123456789012", False)
    assert len({here.place, there.place, aws.place}) == 3
    assert "a/b" not in repr(here) + here.place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://KEY:SECRET@files.example.com/?own=lifecycle-own",
        "s3+http://KEY:SECRET@files.example.com/?own=lifecycle-own",
        "s3+https://KEY:SECRET@files.example.com/bucket?own=lifecycle-own",
        "s3+https://KEY:SECRET@files.example.com/",
        "s3+https://KEY:SECRET@files.example.com/?own=Lifecycle",
        "s3+https://KEY:SECRET@files.example.com/?own=lifecycle-own&style=other",
        "s3+https://KEY:SECRET@files.example.com/?own=lifecycle-own&owner=12",
        "s3+https://KEY:SECRET@files.example.com/?own=lifecycle-own&bucket=SECRET",
        "s3+https://KEY:SECRET@files.example.com:SECRET/?own=lifecycle-own",
        "s3+https://KEY:SECRET@/?own=lifecycle-own",
        "s3://files.example.com/?own=lifecycle-own",
    ],
)
def test_I23_a_wrong_address_is_refused_without_a_word_of_it(text: str) -> None:
    """It may hold a secret; only what a right one looks like is shown."""
    with pytest.raises(InvalidDocument) as refused:
        parse(text)
    shown = str(refused.value)
    assert "SECRET" not in shown
    assert "example.com" not in shown
    assert "own=BUCKET" in refused.value.advice()
