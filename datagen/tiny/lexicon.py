"""The words and facts of the small world. Every mapping is a function: one right answer per word."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _pairs(text: str) -> dict[str, str]:
    return {item.split()[0]: item.split()[1] for item in text.split(",")}


def _both_ways(pairs: dict[str, str]) -> dict[str, str]:
    return pairs | {value: key for key, value in pairs.items()}


OPPOSITE = _both_ways(
    _pairs(
        "big small,hot cold,fast slow,new old,happy sad,rich poor,wet dry,day night,up down,left right,open closed,"
        "hard soft,high low,long short,strong weak,full empty,clean dirty,early late,loud quiet,sweet sour,near far,"
        "thick thin,true false,love hate,win lose,push pull,start stop,buy sell,give take,good bad,easy difficult,"
        "top bottom,inside outside,black white,war peace,summer winter,north south,east west,wide narrow,alive dead"
    )
)

KINDS: dict[str, tuple[str, ...]] = {
    kind: tuple(words.split())
    for kind, words in {
        "animal": "cat dog cow horse pig sheep goat lion tiger bear wolf fox mouse rabbit duck hen bee frog snake fish",
        "fruit": "apple pear fig plum grape lemon banana peach cherry mango melon kiwi",
        "colour": "red blue green yellow black white brown pink grey purple",
        "tool": "hammer saw drill axe spade rake knife wrench",
        "vegetable": "carrot onion potato bean pea leek cabbage garlic",
        "garment": "shirt hat coat sock shoe dress scarf glove",
        "vehicle": "car bus train boat bike truck plane ship",
        "instrument": "piano drum violin flute guitar harp trumpet",
        "drink": "tea milk water juice coffee wine",
    }.items()
}
KIND_PLURAL = {kind: kind + "s" for kind in KINDS}
KIND = {word: kind for kind, words in KINDS.items() for word in words}
THINGS = tuple(word for word, kind in KIND.items() if kind != "colour")
COLOURS = KINDS["colour"]

PLURAL = {
    word: word + "s"
    for word in [
        "cat",
        "dog",
        "cow",
        "horse",
        "pig",
        "goat",
        "lion",
        "bear",
        "duck",
        "hen",
        "bee",
        "frog",
        "snake",
        "apple",
        "pear",
        "plum",
        "lemon",
        "banana",
        "carrot",
        "bean",
        "shirt",
        "hat",
        "coat",
        "sock",
        "shoe",
        "car",
        "train",
        "boat",
        "bike",
        "truck",
        "plane",
        "ship",
        "hammer",
        "drum",
        "book",
        "cup",
        "door",
        "house",
        "king",
        "queen",
        "table",
        "chair",
    ]
} | _pairs(
    "mouse mice,sheep sheep,wolf wolves,knife knives,shelf shelves,box boxes,bus buses,fox foxes,cherry cherries,"
    "leaf leaves,potato potatoes,child children,man men,woman women,tooth teeth,foot feet,goose geese,baby babies,"
    "city cities,dress dresses,glass glasses,lady ladies"
)
PAST = _pairs(
    "go went,see saw,eat ate,run ran,sing sang,swim swam,buy bought,make made,take took,give gave,write wrote,"
    "drink drank,come came,find found,know knew,think thought,bring brought,walk walked,play played,jump jumped,"
    "cook cooked,help helped,paint painted,open opened,love loved,live lived,work worked,speak spoke,break broke,"
    "sleep slept,fly flew,win won,sell sold,tell told,hold held"
)
COMPARATIVE = _pairs(
    "big bigger,small smaller,fast faster,slow slower,hot hotter,cold colder,old older,young younger,rich richer,"
    "poor poorer,happy happier,sad sadder,strong stronger,weak weaker,long longer,short shorter,tall taller,"
    "high higher,low lower,clean cleaner,soft softer,hard harder,good better,bad worse"
)
COLOUR_OF = _pairs(
    "grass green,snow white,coal black,blood red,sky blue,lemon yellow,banana yellow,milk white,chocolate brown,"
    "cherry red,frog green,pig pink,elephant grey,sea blue,tomato red,plum purple,cabbage green,sun yellow,"
    "bear brown,leaf green,cloud white,rose red,crow black,mouse grey"
)
SOUND = _pairs(
    "cat meow,dog woof,cow moo,duck quack,sheep baa,pig oink,hen cluck,horse neigh,lion roar,bee buzz,frog croak,"
    "snake hiss,wolf howl,mouse squeak,bird tweet,owl hoot"
)
BABY = _pairs(
    "cat kitten,dog puppy,cow calf,horse foal,sheep lamb,pig piglet,duck duckling,hen chick,bear cub,goat kid,"
    "goose gosling,frog tadpole,kangaroo joey,deer fawn"
)
HOME = _pairs(
    "cow farm,fish sea,bee hive,bird nest,dog kennel,horse stable,spider web,bear cave,pig sty,rabbit burrow,"
    "lion den,king palace"
)
WORKPLACE = _pairs(
    "doctor hospital,teacher school,baker bakery,farmer farm,cook kitchen,judge court,actor theatre,pilot plane,"
    "sailor ship,priest church,waiter restaurant,banker bank"
)
FEMININE = _pairs(
    "king queen,man woman,boy girl,father mother,brother sister,son daughter,uncle aunt,prince princess,"
    "husband wife,nephew niece,actor actress,sir madam"
)
LEGS = _pairs(
    "spider 8,ant 6,bee 6,cat 4,dog 4,cow 4,horse 4,pig 4,sheep 4,lion 4,hen 2,duck 2,bird 2,owl 2,snake 0,fish 0"
)
MATERIAL = _pairs(
    "table wood,window glass,shirt cotton,ring gold,knife steel,tyre rubber,book paper,shoe leather,sweater wool,"
    "bottle plastic,house stone,coin silver"
)
CAPITAL = _pairs(
    "France Paris,Spain Madrid,Italy Rome,Germany Berlin,England London,Greece Athens,Egypt Cairo,Japan Tokyo,"
    "China Beijing,Russia Moscow,Norway Oslo,Poland Warsaw,Portugal Lisbon,Ireland Dublin,Austria Vienna,Cuba Havana,"
    "Peru Lima,Kenya Nairobi,Sweden Stockholm,Finland Helsinki,Turkey Ankara,Iran Tehran,India Delhi,Canada Ottawa"
)
CONTINENT = dict.fromkeys(CAPITAL, "Europe") | _pairs(
    "Egypt Africa,Kenya Africa,Japan Asia,China Asia,Iran Asia,India Asia,Turkey Asia,Cuba America,Peru America,"
    "Canada America"
)
CONTINENT.pop("Russia")

NUMBER_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _words("January February March April May June July August September October November December")
LETTERS = "abcdefghijklmnopqrstuvwxyz"

SPELLED = _words(
    "cat dog cow pig hen bee fox bear lion wolf goat duck frog apple pear fig plum grape lemon peach mango "
    "kiwi red blue green black white pink saw axe rake knife bean pea leek hat coat sock shoe car bus train "
    "boat bike ship drum flute harp tea milk water juice wine king queen book cup door house table chair"
)

# Every word of a fact, and so every word that has letters to ask about.
WORDS = tuple(sorted({*SPELLED, *KIND, *OPPOSITE, *PLURAL, *PAST, *COMPARATIVE, *COLOUR_OF, *SOUND, *BABY, *MATERIAL}))

NAMES = _words(
    "Tom Anna Ben Lucy Sam Mary Jack Rosa Paul Nina Leo Emma Max Clara Hugo Ida Oscar Julia Peter Sara Felix "
    "Vera Karl Lena"
)
JOBS = tuple(WORKPLACE)
CITIES = tuple(CAPITAL.values())
PLACES = _words("kitchen garden market park school bank church hospital station library museum farm")
COUNTED = _words("apple pear plum lemon banana carrot bean shirt hat coat sock shoe boat bike book cup chair drum")
VERBS_HAVE = ("has", "sees", "wants", "likes", "finds", "buys", "sells", "takes")
SIZES = ("big", "small", "old", "new", "clean", "dirty", "long", "short")
SPOTS = ("in the box", "under the bed", "on the table", "behind the door", "near the chair", "on the shelf")

LANGUAGES = ("French", "Spanish", "Italian")
_NOUNS = """cat le_chat el_gato il_gatto|dog le_chien el_perro il_cane|horse le_cheval el_caballo il_cavallo
king le_roi el_rey il_re|queen la_reine la_reina la_regina|girl la_fille la_chica la_ragazza
woman la_femme la_mujer la_donna|fish le_poisson el_pez il_pesce|house la_maison la_casa la_casa
car la_voiture el_coche la_macchina|book le_livre el_libro il_libro|door la_porte la_puerta la_porta
table la_table la_mesa la_tavola|bread le_pain el_pan il_pane|wine le_vin el_vino il_vino
flower la_fleur la_flor il_fiore|moon la_lune la_luna la_luna|cheese le_fromage el_queso il_formaggio
bed le_lit la_cama il_letto|boat le_bateau el_barco la_barca|milk le_lait la_leche il_latte
shirt la_chemise la_camisa la_camicia
knife le_couteau el_cuchillo il_coltello|fire le_feu el_fuego il_fuoco|hand la_main la_mano la_mano"""
# English noun -> per language (article, noun)
FOREIGN_NOUN: dict[str, tuple[tuple[str, str], ...]] = {
    line.split()[0]: tuple((form.split("_")[0], form.split("_")[1]) for form in line.split()[1:])
    for line in _NOUNS.replace("\n", "|").split("|")
}
FOREIGN_VERB = {
    "sees": ("voit", "ve", "vede"),
    "wants": ("veut", "quiere", "vuole"),
    "takes": ("prend", "toma", "prende"),
    "finds": ("trouve", "encuentra", "trova"),
    "loves": ("aime", "ama", "ama"),
    "sells": ("vend", "vende", "vende"),
}
# English colour -> per language (masculine, feminine)
FOREIGN_COLOUR = {
    "red": (("rouge", "rouge"), ("rojo", "roja"), ("rosso", "rossa")),
    "blue": (("bleu", "bleue"), ("azul", "azul"), ("blu", "blu")),
    "green": (("vert", "verte"), ("verde", "verde"), ("verde", "verde")),
    "black": (("noir", "noire"), ("negro", "negra"), ("nero", "nera")),
    "white": (("blanc", "blanche"), ("blanco", "blanca"), ("bianco", "bianca")),
}
SUBJECTS = ("cat", "dog", "horse", "king", "queen", "girl", "woman", "fish")
OBJECTS = tuple(noun for noun in FOREIGN_NOUN if noun not in SUBJECTS)
