//! The words that decide what a sentence says, in English, Spanish, French and German; all folded (see `words`).
//!
//! Written by hand from grammars of closed word classes; words of open classes (antonyms, words that deny) are the frequent
//! ones of policies, leaflets, manuals, contracts and reports. What is not listed is not seen: the lists bound what the
//! proxy can tell.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// A language that has lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English.
    En,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// German.
    De,
}

impl Lang {
    /// Every language.
    pub const ALL: [Self; 4] = [Self::En, Self::Es, Self::Fr, Self::De];
}

/// One list for each language, in the order of [`Lang::ALL`]; words between spaces, looked up by one map that is made when first asked.
struct Lists {
    words: [&'static str; 4],
    /// For each word the languages whose list has it, a bit each.
    of: OnceLock<HashMap<&'static str, u8>>,
}

impl Lists {
    const fn new(words: [&'static str; 4]) -> Self {
        Self { words, of: OnceLock::new() }
    }

    /// The languages whose list has a word, a bit each.
    fn languages(&self, word: &str) -> u8 {
        let made = || {
            let mut of = HashMap::new();
            for lang in Lang::ALL {
                let words = self.words[lang as usize].split_ascii_whitespace();
                words.for_each(|word| *of.entry(word).or_insert(0) |= bit(lang));
            }
            of
        };
        self.of.get_or_init(made).get(word).copied().unwrap_or(0)
    }
}

fn bit(lang: Lang) -> u8 {
    1 << lang as u8
}

fn holds(lists: &Lists, word: &str, lang: Option<Lang>) -> bool {
    let found = lists.languages(word);
    lang.map_or(found != 0, |lang| found & bit(lang) != 0)
}

static STOP: Lists = Lists::new([
    "a an the this that these those it its he she they them their his her you your we our us i my me who whom whose which what \
     is are was were be been being am do does did done has have had having will would shall should can could may might must \
     to of in on at by for with from as into onto about than then so if when where while and or but nor not no there here also \
     any each every such other another one ones per up out off own same very just too only how why because until unless within \
     during between both either neither again still yet already s t",
    "el la los las un una unos unas lo al del de en a ante con por para sin sobre entre desde hasta segun su sus mi mis tu tus \
     nuestro nuestra se le les me te nos que quien cual cuales cuyo este esta estos estas ese esa esos esas aquel y e o u pero \
     sino ni no si es son fue fueron ser sea sean esta estan estar estaba hay ha han haber habia tiene tienen tener puede pueden \
     poder podra debe deben deber debera hace hacer cada como cuando donde porque pues ya muy mas tan tambien solo cualquier \
     cualquiera algun alguna algunos algunas otro otra otros otras todo toda todos todas usted ustedes ello ella ellos",
    "le la les l un une des du de d en a au aux dans par pour sur sous avec sans entre vers chez ce cet cette ces c il elle ils \
     elles on nous vous je tu se s son sa ses leur leurs mon ma mes votre vos notre nos que qu qui dont ou quel quelle quels \
     quelles et mais donc or ni car ne n pas est sont etait etaient etre ete soit a ont avoir avait eu peut peuvent pouvoir doit \
     doivent devoir fait faire y si comme quand lorsque plus tres aussi tout toute tous toutes chaque autre autres meme lui eux \
     faut celui celle ceux celles",
    "der die das den dem des ein eine einen einem einer eines und oder aber sondern denn ist sind war waren sein wird werden wurde \
     wurden worden hat haben hatte hatten kann konnen konnte muss mussen darf durfen soll sollen sollte will wollen mag zu zum \
     zur in im an am auf aus bei beim mit nach von vom vor uber unter durch fur um ab bis seit gegen ohne zwischen wahrend als wie \
     wenn ob dass weil da so auch nur noch schon sehr man es er sie ihr ihre ihren ihrem ihrer wir uns unser ich sich dies diese \
     dieser dieses diesen diesem jede jeder jedes jeden jedem alle allen aller welche welcher wer was wo wann warum nicht kein \
     keine keinen keinem keiner hier dort dann dazu damit davon dafur etwa",
]);

/// Calls `each` with every language in which a word says nothing of the matter.
pub(super) fn stops_in(word: &str, each: impl FnMut(Lang)) {
    let found = STOP.languages(word);
    Lang::ALL.into_iter().filter(|lang| found & bit(*lang) != 0).for_each(each);
}

/// A word that a sentence needs and that says nothing of its matter.
pub(super) fn is_stop(word: &str, lang: Option<Lang>) -> bool {
    holds(&STOP, word, lang)
}

static CLAUSE: Lists = Lists::new([
    "but while whereas although though however except unless which because",
    "pero sino aunque mientras excepto salvo porque",
    "mais tandis alors sauf quoique cependant",
    "aber sondern wahrend obwohl jedoch ausser sofern weil",
]);

/// Conjunctions that begin a clause without a comma.
pub(super) fn begins_clause(word: &str, lang: Option<Lang>) -> bool {
    holds(&CLAUSE, word, lang)
}

static NEGATIONS: Lists = Lists::new([
    "not no never none neither nor nobody nothing nowhere without cannot unless except hardly",
    "no nunca jamas ningun ninguna ninguno nada nadie tampoco sin ni salvo excepto",
    "pas jamais aucun aucune rien personne sans ni nul nulle sauf hormis",
    "nicht kein keine keinen keinem keiner keines nie niemals niemand nichts ohne weder ausser nirgends",
]);

/// Words that turn a statement round.
pub(super) fn is_negation(word: &str, lang: Option<Lang>) -> bool {
    holds(&NEGATIONS, word, lang)
}

/// Beginnings of words that deny in themselves: `prohibited` says what `not allowed` says.
const DENIALS: [&str; 4] = [
    "prohibit forbid forbad banned unable impossib refus denied deny denies reject exclud lack lacks invalid ineligib exempt \
     contraindicat insufficien incompatib unavailab free unlawful illegal absent decline",
    "prohib vedad imposib rechaz exclu inval exent contraindic insuficien incompatib indisponib gratis gratuit ilegal deneg \
     carec falt impid",
    "interdi impossib refus exclu inval exoner exempt insuffisan incompatib indisponib gratuit illegal contre empech",
    "verboten untersagt unmoglich ausgeschlossen unwirksam ungultig unzulassig kostenlos kostenfrei gratis gebuhrenfrei \
     unvereinbar inkompatib kontraindiz verweiger abgelehnt unentgeltlich steuerfrei befreit fehl",
];

/// Whether a word denies in itself.
pub(super) fn denies(word: &str, lang: Option<Lang>) -> bool {
    let in_list =
        |of: Lang| DENIALS[of as usize].split_ascii_whitespace().any(|w| word.starts_with(w) && (w.len() > 4 || w == word));
    lang.map_or_else(|| Lang::ALL.into_iter().any(in_list), in_list)
}

/// Beginnings of words with opposite meaning, in pairs `a/b`; several forms of a side are parted by `+`.
const OPPOSITES: [&str; 4] = [
    "rise+rose+increas+grew+grow+climb+gain+up/fall+fell+decreas+declin+drop+shrank+shrink+reduc+down+lower+sank before/after \
     open/clos+shut first/last start+begin+began/end+stop+finish allow+permit/forbid+prohibit+ban accept/reject+refus+declin \
     includ/exclud keep+kept+retain+preserv/eras+delet+remov+los+discard more/less+fewer higher+above+over+exceed/lower+below+under \
     maximum+most/minimum+least buy+bought+acquir+purchas/sell+sold always/never often+common+frequent/rare+seldom+uncommon \
     mandatory+required+compulsory+obligatory+must/optional+voluntary public/privat internal/external import/export \
     hot+warm/cold+cool full/empty success+succeed/fail enable+activat/disabl+deactivat approv/reject add/remov \
     early+earlier/late+later long+longer/short+shorter paid/unpaid early/late cheap+cheaper/expensive+dearer gross/net \
     debit/credit borrow/lend+lent take/skip free/charg old+older/young+younger big+bigger+large+larger/small+smaller \
     left/right inside/outside morning/evening day/night win+won/lost+lose strong/weak fast+faster/slow+slower safe/dangerous+unsafe \
     wet/dry temporar/permanent partial/full+complete+total individual/joint active/inactive major/minor senior/junior \
     profit/loss arriv/depart push/pull on/off all/none employee/employer buyer+seller/x lessor/lessee",
    "subi+subieron+subido+aument+crec+crecio+crecieron+increment/baja+bajar+bajaron+bajado+bajo+disminu+reduc+cayo+cayeron+caer+descend+decrec antes/despues+tras abr+abier/cerr+cierr primero+primer/ultimo+despues \
     empez+comenz+inici/termin+acab+finaliz permit+autoriz/prohib acept/rechaz inclu/exclu conserv+manten/borr+elimin+suprim \
     mas/menos mayor+mayores+superior/menor+menores+inferior maxim/minim compr+adquir/vend+vent siempre/nunca frecuent/rar \
     obligatori/opcional+voluntari+facultativ public/privad intern/extern calient/fri lleno/vacio exito/fracas activ/desactiv+inactiv \
     temprano/tarde largo+larga/corto+corta gratis+gratuit/pago bruto/neto dentro/fuera escrito+escrita/verbal+oral manana/noche+tarde \
     fuerte/debil rapid/lent segur/peligros temporal/permanent parcial/total barat/car llegada/salida ganancia+beneficio/perdida todo/nada \
     aprob/deneg",
    "augment+hauss+progress+croit+grimp/baiss+recul+diminu+chut+decro+redui avant/apres ouvr+ouvert/ferm premier+abord/dernier+ensuite \
     commenc+debut/termin+fin+acheve permet+permis+autoris/interdi accept/refus inclu+compris/exclu conserv+gard/supprim+efface+perd \
     plus/moins superieur/inferieur maxim/minim achet+acqui+rachet/vend+cede+cession toujours/jamais souvent+frequen+frequent/rare \
     obligatoir/facultati+optionnel+volontaire public/prive intern/extern chaud/froid plein/vide reussi+succes/echec+echou \
     activ/desactiv tot/tard long/court gratuit/pay brut/net dedans+interieur/dehors+exterieur ecrit/oral+verbal matin/soir \
     fort/faible rapide/lent sur/dangereu temporaire+provisoire/permanent+definiti partiel/total+complet arrivee/depart benefice/perte \
     approuv/rejet",
    "stieg+steig+erhoh+wuchs+wachs+zugenommen+zunahm/sank+sink+fiel+gefallen+ging+verringer+abgenommen+reduzier+senk vor+vorher/nach+nachher \
     offen+geoffnet+offnet/geschlossen+schliess erst+zuerst/letzt+zuletzt+danach beginn+begann+start/end+stopp erlaub+gestatt+zulassig/verbot+untersag \
     angenommen+akzeptier/abgelehnt+ablehn enthalten+inklusive/ausgeschlossen+exklusive behalt+erhalten+bewahr/losch+geloscht+entfern+verlier \
     mehr/weniger hoher+uber+oberhalb/niedriger+unter+unterhalb maxim+hochst/minim+mindest kauf+ubernahm+erwarb+erworben/verkauf+verausser \
     immer/nie+niemals haufig+oft/selten pflicht+verpflichtend+obligatorisch+vorgeschrieben/freiwillig+optional+fakultativ offentlich/privat \
     intern/extern heiss+warm/kalt voll/leer erfolg/misserfolg+scheiter aktivier/deaktivier fruh+fruher/spat+spater lang+langer/kurz+kurzer \
     kostenlos+gratis+kostenfrei/kostenpflichtig brutto/netto innen+innerhalb/aussen+ausserhalb schriftlich/mundlich \
     morgens+vormittags/abends+nachmittags stark/schwach schnell/langsam sicher/gefahrlich vorubergehend+befristet/dauerhaft+unbefristet \
     teilweise/vollstandig+ganz billig+gunstig/teuer ankunft+anreise/abfahrt+abreise gewinn/verlust genehmig/abgelehnt jederzeit/nie \
     beschrankt/unbeschrankt begrenzt/unbegrenzt",
];

/// A form of a side of a pair: the form, its language, the pair, which side.
type Form = (&'static str, Lang, usize, bool);

/// All forms by their first two bytes, which are all that most words have to be compared with.
static FORMS: LazyLock<HashMap<&'static [u8], Vec<Form>>> = LazyLock::new(|| {
    let mut forms: HashMap<&'static [u8], Vec<Form>> = HashMap::new();
    for lang in Lang::ALL {
        let pairs = OPPOSITES[lang as usize].split_ascii_whitespace().enumerate();
        for (pair, (x, y)) in pairs.filter_map(|(pair, sides)| Some((pair, sides.split_once('/')?))) {
            for (form, second) in x.split('+').map(|f| (f, false)).chain(y.split('+').map(|f| (f, true))) {
                forms.entry(&form.as_bytes()[..form.len().min(2)]).or_default().push((form, lang, pair, second));
            }
        }
    }
    forms
});

/// The sides of pairs that a word is on.
fn sides(word: &str, lang: Option<Lang>) -> impl Iterator<Item = (Lang, usize, bool)> {
    let forms = FORMS.get(&word.as_bytes()[..word.len().min(2)]).map_or(&[][..], Vec::as_slice);
    let is_form = move |form: &str| match form.len() {
        0..=3 => word == form,
        // Short beginnings are those of other words, too.
        4 => word.len() <= form.len() + 3 && word.starts_with(form),
        _ => word.starts_with(form),
    };
    forms
        .iter()
        .filter(move |(form, of, ..)| lang.is_none_or(|l| l == *of) && is_form(form))
        .map(|(_, of, pair, side)| (*of, *pair, *side))
}

/// Whether two words are listed as opposites in the language, in either order.
pub(super) fn are_opposites(a: &str, b: &str, lang: Option<Lang>) -> bool {
    sides(a, lang).any(|(of, pair, side)| sides(b, Some(of)).any(|(_, other, its)| other == pair && its != side))
}

const PREFIXES: [&[&str]; 4] = [
    &["un", "in", "im", "ir", "il", "dis", "non", "mis"],
    &["in", "im", "ir", "i", "des", "no"],
    &["in", "im", "ir", "il", "des", "non", "de", "mal"],
    &["un", "in", "nicht", "miss", "des"],
];

/// Whether one word is the other with a prefix that denies it: `paid`, `unpaid`.
pub(super) fn differ_by_denial(a: &str, b: &str, lang: Option<Lang>) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let with = |of: Lang| PREFIXES[of as usize].iter().any(|p| long.strip_prefix(p).is_some_and(|rest| rest == short));
    short.len() >= 4 && lang.map_or_else(|| Lang::ALL.into_iter().any(with), with)
}

/// How much of something a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All, always, every.
    All,
    /// Some, sometimes, most.
    Some,
    /// Only.
    Only,
}

static ALL_OF: Lists = Lists::new([
    "all every each always everyone everybody any anyone whole entire",
    "todos todas todo toda cada siempre cualquier cualquiera",
    "tous toutes toujours chaque",
    "alle allen aller jeder jede jedes jeden immer samtliche samtlichen",
]);
static SOME_OF: Lists = Lists::new([
    "some sometimes several many most partly partially occasionally usually often few half",
    "algunos algunas algun alguna varios varias mayoria veces parte muchos",
    "certains certaines quelques parfois plusieurs plupart partie souvent",
    "einige einigen manche manchen manchmal mehrere meisten teilweise oft viele",
]);
static ONLY: Lists = Lists::new([
    "only solely exclusively just",
    "solo solamente unicamente exclusivamente",
    "seulement uniquement exclusivement seul seuls seule seules",
    "nur ausschliesslich lediglich allein vorbehalten",
]);

/// The share that a word says.
pub(super) fn share(word: &str, lang: Option<Lang>) -> Option<Share> {
    let of = |lists: &Lists| holds(lists, word, lang);
    if of(&ONLY) {
        Some(Share::Only)
    } else if of(&ALL_OF) {
        Some(Share::All)
    } else if of(&SOME_OF) {
        Some(Share::Some)
    } else {
        None
    }
}

/// Forms of "to be" and prepositions by which a sentence is turned into the passive.
static PASSIVE: Lists = Lists::new(["by", "por", "par", "von vom durch wird werden wurde wurden worden"]);

/// Whether a word may mark a passive.
pub(super) fn marks_passive(word: &str, lang: Option<Lang>) -> bool {
    holds(&PASSIVE, word, lang)
}

/// Whether a word joins two statements; all languages together.
pub(super) fn joins(word: &str) -> bool {
    matches!(
        word,
        "and" | "while" | "but" | "y" | "e" | "pero" | "mientras" | "et" | "mais" | "tandis" | "und" | "aber" | "sondern"
    )
}

/// Whether a word is an article; all languages together.
pub(super) fn is_article(word: &str) -> bool {
    "the a an el la los las un una le les une der die das den dem ein eine einen einem l".split(' ').any(|w| w == word)
}

/// Whether a German article tells the case of a noun.
pub(super) fn tells_case(word: &str) -> bool {
    "der den dem einen einem".split(' ').any(|w| w == word)
}

/// A limit that a number is given as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// At least, more than, from.
    Least,
    /// At most, less than, up to.
    Most,
}

static LEAST: Lists = Lists::new([
    "least minimum over above more exceeding older longer from heavier",
    "minimo superior superiores mayor mayores mas",
    "minimum superieur superieure plus",
    "mindestens wenigstens mehr uber langer alter minimum",
]);
static MOST: Lists = Lists::new([
    "most maximum under below less fewer younger exceed exceeds",
    "maximo hasta inferior inferiores menor menores menos superar exceder sobrepasar",
    "maximum inferieur inferieure moins jusqu depasser jusque tard",
    "hochstens maximal unter weniger kurzer junger uberschreiten maximum bis spatestens",
]);
static COMPARATIVES: Lists = Lists::new([
    "more over exceed longer later heavier",
    "mas superar exceder sobrepasar",
    "plus depasser exceder",
    "mehr langer uberschreiten",
]);

/// The limit that a word, with the word before it, sets for the number after it.
pub(super) fn limit(word: &str, before: &str, lang: Option<Lang>) -> Option<Limit> {
    // "Al menos" and "au moins" are "at least", though "menos" and "moins" are "less".
    let at_least = matches!(word, "menos" | "moins") && matches!(before, "al" | "lo" | "au" | "du");
    if at_least || holds(&LEAST, word, lang) {
        Some(Limit::Least)
    } else if holds(&MOST, word, lang) {
        Some(Limit::Most)
    } else {
        None
    }
}

/// Whether a denial of the word is a limit: "not more than".
pub(super) fn compares(word: &str, lang: Option<Lang>) -> bool {
    holds(&COMPARATIVES, word, lang)
}
