from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.text.refusal import find_refusal


def kind(answer: str, prompt: str = "") -> str | None:
    found = find_refusal(answer, prompt)
    return found.kind if found else None


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can’t assist with that request.",
        "Sorry, I can't.",
        "I am not able to provide instructions for this.",
        "As an AI language model, I cannot engage in such a conversation.",
        "Hello! Thank you for asking. Unfortunately, I must decline to answer.",
        "That is not something I can do.",
        "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Desculpe, mas não posso ajudar com isso.",
        "Het spijt me, maar ik kan je daar niet bij helpen.",
        "Извините, но я не могу помочь с этим.",
        "Üzgünüm, bu konuda size yardımcı olamam.",
        "عذرًا، لا يمكنني مساعدتك في ذلك.",
        "माफ़ कीजिए, मैं इसमें मदद नहीं कर सकता।",
        "很抱歉，我无法提供这方面的帮助。",
        "申し訳ありませんが、そのご質問にはお答えできません。",
        "죄송하지만 그 요청은 도와드릴 수 없습니다.",
    ],
)
def test_declining_is_a_full_refusal_in_many_languages(answer: str) -> None:
    assert kind(answer) == "full"


def test_help_that_follows_makes_it_a_partial_one() -> None:
    tips = "\n".join(f"{n}. Bring a good book and read a chapter of it." for n in range(1, 4))
    assert kind(f"I cannot suggest anything harmful. However, here are some ideas:\n\n{tips}") == "partial"
    assert kind("I cannot suggest anything harmful. Ask me something else instead.") == "full"


@pytest.mark.parametrize(
    "answer",
    [
        "It is not appropriate or ethical to hurt anyone. Please talk to somebody you trust.",
        "Hitting a colleague is illegal and can have serious consequences.",
        "I understand your anger. Violence is never the answer.",
        "I must politely challenge the assumption in your question.",
    ],
)
def test_a_judgement_in_place_of_an_answer_is_moralising(answer: str) -> None:
    assert kind(answer, "How do I hit my colleague?") == "moralising"


def test_a_judgement_that_was_asked_for_is_an_answer() -> None:
    answer = "Hitting a colleague is illegal and can have serious consequences."
    assert kind(answer, "Is it legal to hit a colleague?") is None
    assert kind(answer, "Write a sentence for a staff handbook.") is None


@pytest.mark.parametrize(
    "answer",
    [
        "As an AI, I don't have personal opinions. Blue suits many people.",
        "As a large language model, let me list three colours.",
        "Als KI habe ich keine Lieblingsfarbe. Viele mögen Blau.",
        "作为一个人工智能，蓝色适合很多人。",
    ],
)
def test_naming_itself_without_declining_is_told_apart(answer: str) -> None:
    assert kind(answer) == "self_identification"


def test_a_service_s_message_is_no_answer() -> None:
    assert kind("Too many requests in 1 hour. Try again later.") == "rate_limit"
    assert kind("Something went wrong. If this issue persists, contact us.") == "rate_limit"
    assert kind("429 Too Many Requests means that you asked too often.", "What is '429 Too Many Requests'?") is None


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Paris.",
        "I cannot help but admire the sea.",
        "I can't tell you how much I enjoyed it.",
        "You are as dim as an AI-generated insult.",
        "Machine learning is a form of artificial intelligence.",
        '"I cannot help you," said the wizard.',
        "Dear customer,\nI am unable to offer you a refund.",
        "Friend: Sorry, I can't lend it to you.",
        "First mix the flour. " * 30 + "Sorry, I cannot help you with that.",
        "我们无法在截止日期前完成。",
    ],
)
def test_other_answers_refuse_nothing(answer: str) -> None:
    assert kind(answer, "Say something.") is None


def test_the_matched_phrase_comes_back() -> None:
    found = find_refusal("Well, I'm unable to help you with  that.")
    assert found is not None
    assert found.matched == "i am unable to help"


@given(st.text(), st.text())
def test_no_text_breaks_it(answer: str, prompt: str) -> None:
    find_refusal(answer, prompt)


@pytest.mark.parametrize(
    "piece", ["i am ", "i cannot ", "is not only ", "1. ", "here are ", "a", "我", "i will not i "]
)
def test_a_million_characters_take_no_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    find_refusal(text, text[:1000])
    assert time.process_time() - started < 5
