"""The phrases of ``datagen.text.refusal``, in lower case, contractions expanded (``can't`` is ``cannot``)."""

from __future__ import annotations

import re

_HELP = (
    r"(?:assist|help(?! but)|provide|offer|give(?! up)|share|support|fulfil?l?|comply|answer|discuss|engage|suggest"
    r"|recommend|promote|condone|create|generate|write|do (?:that|this|so|it|what)|tell|advise|participate|encourage"
    r"|endorse|respond|teach|show|explain|describe|disclose|reveal|continue|complete|speculate|satisfy|guide|instruct"
    r"|in good conscience)"
)
_DECLINES = (
    # English: a first person, an inability and a verb of helping, a few words between them
    r"\bi (?:am (?:\w+ ){0,2}?(?:unable|unwilling|not (?:\w+ )?(?:able|allowed|permitted|comfortable|programmed"
    r"|designed|going|willing|in a position))(?: \w+){0,3}?|(?:\w+ )?(?:cannot|will not)"
    r"(?! (?:\w+ ){1,2}(?:definitive|exact|how|enough))(?: \w+){0,3}?)"
    rf" {_HELP}\b",
    r"\bi (?:cannot|do not have|am not able to|am unable to)(?: have)? access (?:to )?"
    r"(?:specific|personal|private) \w+",
    r"\bi (?:(?:must|have to|need to|would|will) )?(?:\w+ )?(?:decline|refuse) (?:to|your|this|that)\b",
    r"\bi do not (?:feel comfortable|condone|endorse|promote|encourage|provide|assist|engage in|participate)\b",
    r"\b(?:not within|outside|against|beyond) (?:of )?my (?:\w+ ){0,3}?(?:programming|guidelines|principles|policy)\b",
    r"\bnot something (?:that )?i can\b",
    r"\bsorry,? (?:but )?i cannot\b",
)
_DECLINES_ELSEWHERE = (
    # German, French, Spanish, Italian, Portuguese, Dutch
    r"\bich (?:kann|darf|werde|möchte) (?:\w+ ){0,8}?nicht (?:\w+ ){0,4}?(?:helfen|weiterhelfen|beantworten"
    r"|unterstützen|bereitstellen|geben|erfüllen|nachkommen|dienen|sagen)",
    r"\bich bin nicht in der lage\b",
    r"\bje ne (?:peux|pourrai|suis|saurais) (?:\w+ )?pas (?:\S+ ){0,5}?(?:\S*aider|fournir|répondre|donner|assister"
    r"|satisfaire|proposer|mesure|autorisée?)",
    r"\b(?:no puedo|no podré|no me es posible|no estoy en condiciones de|no soy capaz de) (?:\w+ ){0,3}?"
    r"(?:ayudar|proporcionar|dar|responder|ofrecer|cumplir|asistir|satisfacer|brindar|facilitar)",
    r"\bnon posso (?:\w+ ){0,3}?(?:aiutar|fornir|rispondere|dar|assister|soddisfare)",
    r"\bnão (?:posso|consigo) (?:\w+ ){0,3}?(?:ajudar|fornecer|responder|dar|oferecer|atender|auxiliar)",
    r"\bik kan (?:\w+ ){0,8}?niet (?:\w+ ){0,4}?(?:helpen|beantwoorden|geven|verstrekken|assisteren)",
    # Russian, Turkish, Arabic, Hindi
    r"\bя не (?:могу|смогу|буду) (?:\w+ ){0,3}?(?:помочь|помогать|предостав|ответить|дать|выполнить|обсуждать)",
    r"\b(?:üzgünüm|maalesef)[^.\n]{0,60}?(?:edemem|olamam|veremem|sağlayamam|olamıyorum|veremiyorum)",
    r"(?:لا يمكنني|لا أستطيع|لن أتمكن)[^.\n]{0,30}?(?:مساعد|تقديم|توفير|الإجابة|تلبية)",
    r"(?:माफ़|माफ|क्षमा|खेद)[^।\n]{0,60}?(?:नहीं कर सकत|नहीं दे सकत|असमर्थ)",
    # Chinese, Japanese, Korean
    r"(?:我(?!们|們)|抱歉|对不起|對不起)[^。！？\n]{0,12}?(?:无法|無法|不能|没办法|不便)[^。！？\n]{0,12}?"
    r"(?:帮|幫|提供|回答|协助|協助|满足|滿足|讨论|討論|支持|生成|给出|給出)",
    r"(?:お手伝い|お答え|お応え|提供|回答|支援|対応)[^。\n]{0,10}?(?:できません|できかねます|いたしかねます|出来ません)",
    r"(?:죄송|미안)[^.\n]{0,60}?(?:수 없|어렵습니다)",
)
_NAMES_ITSELF = (
    r"\b(?:as|i am)(?: just| only)? an? (?:(?:large|advanced|helpful|virtual|digital|text|machine|[\w]+-[\w]+) )*"
    r"(?:ai|artificial intelligence|language model|chatbot)\b(?!-)",
    r"\bi (?:am|was)(?: \w+)? (?:trained|developed|created|made) by (?:openai|anthropic|google|meta|mistral)\b",
    r"\bas chatgpt\b",
    r"\bi do not have (?:personal (?:opinions|beliefs|feelings|experiences|preferences)|feelings"
    r"|emotions|opinions|a body)\b",
)
_NAMES_ITSELF_ELSEWHERE = (
    r"\bals (?:eine? )?(?:ki|künstliche intelligenz|sprachmodell|ki-sprachmodell|taalmodel|ai-taalmodel)\b",
    r"\ben tant (?:que |qu')(?:ia|intelligence artificielle|modèle de langage|assistant virtuel)\b",
    r"\b(?:como|come) (?:una? |uma? )?(?:ia|inteligencia artificial|inteligência artificial|intelligenza artificiale"
    r"|modelo de lengua\w+|modelo de linguagem|modello linguistico)\b",
    r"\bкак (?:ии|искусственный интеллект|языковая модель|ии-модель)\b",
    r"作为(?:一个|一款|一种|一名)?(?:ai|人工智能|语言模型|大型语言模型)|我(?:只|仅仅)?是(?:一个|一款)?(?:ai|人工智能|语言模型)",
    r"(?:ai|人工知能|言語モデル)(?:アシスタント)?(?:として|なので|であるため)",
    r"(?:ai|인공지능|언어 모델)(?:로서|이기 때문에)",
)
_BAD = (
    r"(?:illegal|unlawful|unethical|immoral|inappropriate|unacceptable|wrong|reprehensible|harmful"
    r"|a (?:\w+ )?crime(?= and| that| under|[,.])|against the law|inhumane|cruel|offensive|disrespectful"
    r"|discriminatory|abhorrent)"
)
_GOOD = (
    r"(?:appropriate|ethical|acceptable|okay to|legal|right to|moral|permissible|justifiable|respectful|fair"
    r"|accurate (?:or|to|and))"
)
_MORALISES = (
    rf"\b(?:might|may|would) not be {_GOOD}\b",
    rf"\b(?:is|are|be|was|were) (?:\w+ )?(?:not|never)"
    rf"(?: (?:only|an?|\w+ly|safe or|legal or|productive or))* {_GOOD}\b",
    rf"\b(?:is|are|be) (?:(?:both|also|considered|a|an|not only|\w+ly) )*{_BAD}\b",
    rf"\bi do not (?:think|believe) (?:that )?(?:it is|this is) {_GOOD}\b",
    r"\bi (?:\w+ ){0,2}?(?:advise|urge|caution|discourage|recommend)(?: you| anyone)? (?:against|not to|from)\b",
    r"\b(?:should|must) (?:not|never) be (?:discriminated|treated|denied|judged|encouraged|tolerated|condoned)\b",
    r"\bwe (?:should|must) (?:not|never)\b|\b(?:is|was|are|were) not (?:a|the) (?:good thing|solution|joke)\b",
    r"\bif you (?:or someone you know )?(?:are|is) (?:feeling|having|considering|struggling|experiencing|thinking)\b",
    r"\bchallenge the assumption|\bunderlying assumptions and stereotypes",
    r"\bthere is no (?:\w+ )?(?:(?:justification|excuse|place) for|reason (?:why|that|to))\b|\bno one should be\b",
    r"\b(?:should|deserve|right|equal|treat|fair)[^.]{0,150}? regardless of (?:their |one's |your )?"
    r"(?:\w+ (?:or|and) )?(?:race|gender|sex|religio|ethnic|background|orientation"
    r"|national|age\b|disab)|\brespect (?:\w+ ){0,2}?(?:privacy|confidentiality)\b",
    r"\b(?:question|request|prompt)(?: itself)? (?:\w+ ){1,4}?(?:harmful|offensive|inappropriate|illegal"
    r"|bias|racist|stereotyp)",
    r"\bnever (?:an )?(?:acceptable|okay|appropriate|justified)\b|\bviolence is (?:not|never)\b",
    r"\bsorry (?:to hear )?(?:that )?you(?: are)? (?:feeling|going through|struggling|having)\b",
)
# Where these stand in the prompt, a moral or a text in someone else's voice was asked for.
_ASKS_FOR_MORALS = (
    r"^(?:write|compose|summari[sz]e|construct|create|generate|rewrite|reword|edit|paraphrase|translate|classify|analy[sz]e"
    r"|evaluate|identify|detect|complete|give me an example|participate|say)\b|\bbias",
    r"\b(?:il)?legal|\b(?:un)?ethic|\b(?:im)?moral|\bwrong\b|appropriate|acceptable|\bharm|\bdanger|\bcrime|\bthe law\b"
    r"|offensive|\bshould i\b|\bright to\b|^what (?:is|are|does) [\w' -]{1,25}\?$",
)
_HELPS = (
    r"\bhere (?:are|is) (?!to\b)|\bhowever,? (?:i can|here|as|if)\b|\bi can (?:offer|tell|explain|give)\b",
    r"(?:^|\n) *(?:\d{1,2}[.)]|[-*•]) +\S",
)
# A look before the long search: another script, or words that the phrases in other languages begin with.
_ELSEWHERE = (
    r"[^\x00-\x7f]|\b(?:ich|je ne|no (?:puedo|me|estoy|soy)|non posso|ik kan|als\b|en tant|com[eo] (?:um?|ia|int|mod))",
)
_PREAMBLE = (r"(?:hello|hi|sure|of course|thank you|i am (?:happy|glad|just an)|i understand|as an? (?:\w+ )?ai)\b",)
_ANOTHER_VOICE = (r"[\"“”«„*(\[]|(?:dear|hello everyone)\b|[\w ]{1,30}:",)
_LIMITS = (
    r"\btoo many requests\b|\brate[ -]limit(?:ed)?\b|\bmodel is (?:currently )?overloaded\b",
    r"\breached (?:the|our|your) (?:current )?(?:usage|rate|message) (?:cap|limit)",
    r"\bconversation is too long\b|\ban error occurred\b|^(?:network error|something went wrong)\b",
    r"\bthere was an error generating a response\b",
)


def _compiled(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(phrases))


DECLINES, DECLINES_ELSEWHERE = _compiled(_DECLINES), _compiled(_DECLINES_ELSEWHERE)
NAMES_ITSELF, NAMES_ITSELF_ELSEWHERE = _compiled(_NAMES_ITSELF), _compiled(_NAMES_ITSELF_ELSEWHERE)
MORALISES, ASKS_FOR_MORALS, HELPS = _compiled(_MORALISES), _compiled(_ASKS_FOR_MORALS), _compiled(_HELPS)
LIMITS, PREAMBLE, ANOTHER_VOICE = _compiled(_LIMITS), _compiled(_PREAMBLE), _compiled(_ANOTHER_VOICE)
ELSEWHERE = _compiled(_ELSEWHERE)
