"""Languages by their English names, as prompts name them, and their ISO 639-1 codes, as records are labelled."""

from __future__ import annotations

_LANGUAGES = """
Abkhazian ab|Afar aa|Afrikaans af|Akan ak|Albanian sq|Amharic am|Arabic ar|Aragonese an|Armenian hy|Assamese as
Avaric av|Aymara ay|Azerbaijani az|Bambara bm|Bashkir ba|Basque eu|Belarusian be|Bengali bn|Bislama bi|Bosnian bs
Breton br|Bulgarian bg|Burmese my|Catalan ca|Chamorro ch|Chechen ce|Chichewa ny|Chinese zh|Chuvash cv|Cornish kw
Corsican co|Croatian hr|Czech cs|Danish da|Dutch nl|Dzongkha dz|English en|Esperanto eo|Estonian et|Ewe ee
Faroese fo|Fijian fj|Finnish fi|French fr|Fulah ff|Galician gl|Ganda lg|Georgian ka|German de|Greek el|Guarani gn
Gujarati gu|Haitian Creole ht|Hausa ha|Hebrew he|Herero hz|Hindi hi|Hungarian hu|Icelandic is|Igbo ig|Indonesian id
Interlingua ia|Inuktitut iu|Irish ga|Italian it|Japanese ja|Javanese jv|Kannada kn|Kashmiri ks|Kazakh kk|Khmer km
Kikuyu ki|Kinyarwanda rw|Kyrgyz ky|Kongo kg|Korean ko|Kurdish ku|Lao lo|Latin la|Latvian lv|Limburgish li
Lingala ln|Lithuanian lt|Luxembourgish lb|Macedonian mk|Malagasy mg|Malay ms|Malayalam ml|Maltese mt|Manx gv
Maori mi|Marathi mr|Marshallese mh|Mongolian mn|Navajo nv|Nepali ne|Norwegian no|Norwegian Bokmal nb
Norwegian Nynorsk nn|Occitan oc|Odia or|Oromo om|Ossetian os|Pashto ps|Persian fa|Polish pl|Portuguese pt|Punjabi pa
Quechua qu|Romanian ro|Romansh rm|Rundi rn|Russian ru|Samoan sm|Sango sg|Sanskrit sa|Sardinian sc|Scottish Gaelic gd
Serbian sr|Shona sn|Sindhi sd|Sinhala si|Slovak sk|Slovenian sl|Somali so|Southern Sotho st|Spanish es|Sundanese su
Swahili sw|Swati ss|Swedish sv|Tagalog tl|Tahitian ty|Tajik tg|Tamil ta|Tatar tt|Telugu te|Thai th|Tibetan bo
Tigrinya ti|Tonga to|Tsonga ts|Tswana tn|Turkish tr|Turkmen tk|Twi tw|Uyghur ug|Ukrainian uk|Urdu ur|Uzbek uz
Venda ve|Vietnamese vi|Walloon wa|Welsh cy|Western Frisian fy|Wolof wo|Xhosa xh|Yiddish yi|Yoruba yo|Zhuang za|Zulu zu
"""

CODES = {
    name: code for one in _LANGUAGES.strip().replace("\n", "|").split("|") for name, _, code in [one.rpartition(" ")]
}
