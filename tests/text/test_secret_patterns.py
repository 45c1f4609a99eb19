"""Keys here are made up, and put together so that no scanner takes them for real ones."""

from __future__ import annotations

import pytest

pytest.importorskip("detect_secrets")
from datagen.text.secret_patterns import finder

RANDOM = "q7Rt2Lp9Zx4Vb8Nm3Kd6Wc1Hs5Jg0YfUeTiOaPzQ"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----"
POSITIVE = {
    "aws": ["AKIA" + "Q3EGRZT7NKXPL2VM", f'aws_secret_key = "{RANDOM}"'],
    "github": ["ghp_" + RANDOM[:36], "github_pat_" + RANDOM + RANDOM[:30]],
    "gitlab": ["glpat-" + RANDOM[:20]],
    "openai": ["sk-" + "proj-" + RANDOM, "sk-" + RANDOM[:20] + "T3BlbkFJ" + RANDOM[20:40]],
    "anthropic": ["sk-" + "ant-api03-" + RANDOM],
    "huggingface": ["hf_" + "qRtLpZxVbNmKdWcHsJgYfUeTiOaPzQwEyU"],
    "google": ["AIza" + "SyD3fG5hJ7kL9mN1bV2cX4zQ6wE8rT0yU2i"],
    "slack": ["xoxb-" + "2483019475-7719284410-aB3dE5fG7hJ9kL1mN3pQ5rS7".lower()],
    "stripe": ["sk_" + "live_" + RANDOM[:24]],
    "sendgrid": ["SG." + RANDOM[:22] + "." + RANDOM + "abC"],
    "twilio": ["AC" + "9f8e7d6c5b4a39281706f5e4d3c2b1a0"],
    "telegram": ["7182940536" + ":" + RANDOM[:35]],
    "jwt": ["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiI4NDIwMTkiLCJuYW1lIjoiQW5uIn0." + RANDOM],
    "basic_auth": ["postgres://ann:" + "s3cretPw9@db.home.org/main", "https://bob:" + "hunter22@host.net/x"],
    "private_key": [f"{PEM}\nMIIEpAIBAAKCAQEA7\nq8\n-----END RSA " + "PRIVATE KEY-----"],
    "assigned": ['password = "tR7-kk2!mQz9"', "API_KEY: 'f3a9c1e7b2d84650'", '"client_secret": "9sK2mPq7LxW4"'],
}
NEGATIVE = [
    "password = 'password123'",
    'api_key = "YOUR_API_KEY_12345"',
    "api_key = os.environ['API_KEY_2024_PROD']",
    "token = 'xxxxxxxxxxxx1234'",
    'secret = "changeme12345"',
    "AKIA" + "IOSFODNN7EXAMPLE",
    "http://user:password@example.com/",
    "https://en.wikipedia.org/wiki/Key_(cryptography)",
    "the token 3f2a is short",
    "550e8400-e29b-41d4-a716-446655440000",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "-----BEGIN PUBLIC KEY-----\nMIIB1234567890\n-----END PUBLIC KEY-----",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
    "sk-learn has many estimators in scikit-learn-0.24.2-documentation",
    "task-2024-planning-document-for-the-third-quarter",
    "password: minimum 8 characters, 1 digit",
    'print("The password is: correct horse")',
    "max_token = 4096; token_type = 'Bearer'",
    "hf_hub_download(repo_id, filename)",
    "",
]


@pytest.mark.parametrize(("kind", "secret"), [(kind, one) for kind, many in POSITIVE.items() for one in many])
def test_a_secret_is_found_in_prose_and_in_code(kind: str, secret: str) -> None:
    for text in (f"Mine is {secret} , keep it.", f"x = 1\n{secret}\n"):
        (found,) = finder()(text)
        assert found.kind == kind
        assert text[found.start : found.end] in secret
        assert found.end - found.start >= 8


def test_a_key_block_that_is_cut_off_is_masked_to_the_end() -> None:
    (found,) = finder()(f"Here: {PEM}\nMIIEpAIBAAKCAQEA7")
    assert (found.kind, found.start, found.end) == ("private_key", 6, 6 + len(PEM) + 18)


@pytest.mark.parametrize("text", NEGATIVE)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert finder()(text) == []


@pytest.mark.parametrize(
    "text", ["a1" * 25_000, "://a:" * 9_000, "password=" * 5_000, "-----BEGIN " * 4_000, "eyJ." * 9_000]
)
def test_hostile_text_is_read_in_a_moment(text: str) -> None:
    assert len(finder()(text)) < 9_000
