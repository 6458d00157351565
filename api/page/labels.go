package page

import "flette/iplos/measure"

// Languages of a page.
const (
	NB = "nb"
	EN = "en"
)

// said is a word in both languages.
type said struct{ nb, en string }

func (s said) in(lang string) string {
	if lang == EN {
		return s.en
	}
	return s.nb
}

// columnWords name the columns of tables.
var columnWords = map[string]said{
	"low": {"Noe/avgrenset", "Low"}, "middle": {"Middels til stort", "Middle"}, "high": {"Omfattende", "High"}, "unknown": {"Uoppgitt", "Unknown"},
	"nine": {"Ikke relevant (9)", "Not relevant (9)"}, "missing": {"Mangler", "Missing"}, "scored": {"Skår 1–5", "Score 1–5"}, "registered": {"Registrert", "Registered"},
	"yes": {"Ja", "Yes"}, "no": {"Nei", "No"},
	"no_risk": {"Ikke i risiko", "Not at risk"}, "risk_plan": {"Risiko, med plan", "At risk, plan"}, "risk_no_plan": {"Risiko, uten plan", "At risk, no plan"},
	"risk_unknown": {"Risiko uoppgitt", "Risk unknown"}, "not_mapped": {"Ikke kartlagt", "Not mapped"},
	"0_15_days": {"Inntil 15 dager", "Up to 15 days"}, "16_30_days": {"16–30 dager", "16–30 days"}, "31_days": {"31 dager og mer", "31 days and more"},
	"no_assessment": {"Ingen vurdering", "None"}, "admission_only": {"Bare innskriving", "Admission only"}, "discharge_only": {"Bare utskriving", "Discharge only"},
	"improved": {"Begge: bedre", "Both: improved"}, "unchanged": {"Begge: uendret", "Both: unchanged"}, "worse": {"Begge: verre", "Both: worse"},
	"under_6_months": {"Under 6 måneder", "Under 6 months"}, "6_12_months": {"6–12 måneder", "6–12 months"}, "1_2_years": {"1–2 år", "1–2 years"},
	"over_2_years": {"Over 2 år", "Over 2 years"}, "none": {"Ingen", "None"},
}

func column(id, lang string) string {
	if w, ok := columnWords[id]; ok {
		return w.in(lang)
	}
	return id
}

// partWords name the parts, in their order on the page.
var partWords = []struct {
	id          string
	title, note said
}{
	{
		measure.PartGroups, said{"Funksjonsgrupper", "Function groups"},
		said{"Personer med en tjeneste på dagen, etter nivå i hver funksjonsgruppe. Nivået er det til den høyeste skåren i gruppen.", "Persons with a service on the day, by level in each function group. The level is that of the highest score in the group."},
	},
	{
		measure.PartIndicators, said{"Kvalitetsindikatorer", "Quality indicators"},
		said{"Uoppgitt viser hvor mye som mangler.", "Unknown shows how much is missing."},
	},
	{
		measure.PartWaiting, said{"Ventetid", "Waiting time"},
		said{"Tjenester som startet de siste tolv månedene. Hver person telles én gang i hver tabell.", "Services that began in the last twelve months. Each person is counted once in each table."},
	},
	{
		measure.PartStays, said{"Endring i funksjon fra innskriving til utskriving", "Change of function from admission to discharge"},
		said{"Opphold som ble avsluttet de siste tolv månedene. Bedre: flere variabler er bedre enn verre. Tidsvinduene er vårt eget valg.", "Stays that ended in the last twelve months. Improved: more variables are better than are worse. The windows of time are our own choice."},
	},
	{
		measure.PartQuality, said{"Datakvalitet", "Quality of data"},
		said{"Personer med en tjeneste på dagen.", "Persons with a service on the day."},
	},
}

// words of the page.
var words = map[string]said{
	"title":       {"Rapport om pleie- og omsorgstjenester", "Report on care services"},
	"date":        {"Dato", "Date"},
	"level":       {"Nivå i organisasjonen", "Level of the organisation"},
	"ages":        {"Alder", "Ages"},
	"all-ages":    {"alle aldre", "all ages"},
	"from-67":     {"legemiddelgjennomgang og ernæring: 67 år og over; ellers alle", "medication review and nutrition: 67 and above; else all"},
	"grouping":    {"Gruppering", "Grouping"},
	"built-in":    {"innebygd", "built in"},
	"source":      {"Kilde", "Source"},
	"provisional": {"Foreløpig: grupperingen er ikke offisiell. Den offisielle beregningen er ikke offentlig.", "Provisional: the grouping is not official. The official computation is not public."},
	"mark":        {"foreløpig", "provisional"},
	"local":       {"Til lokal bruk. Sendes ikke til registeret.", "For local use. Not sent to the register."},
	"hiding":      {"skjult: 1–4 personer, eller et tall som 1–4 personer kunne regnes ut av.", "hidden: 1–4 persons, or a figure from which 1–4 persons could be computed."},
	"hidden":      {"skjult", "hidden"},
	"unit":        {"Enhet", "Unit"},
	"all":         {"Alle", "All"},
	"others":      {"(andre)", "(others)"},
	"everybody":   {"Kommunen", "Municipality"},
	"nobody":      {"Ingen personer.", "No persons."},
	"too-few":     {"For få personer til å vises.", "Too few persons to be shown."},
	"hours":       {"Gjennomsnittlig tildelte timer per uke, hjemmeboende med timer", "Mean granted hours a week, persons at home with hours"},
	"national":    {"Landet (SSB 09933)", "Norway (SSB 09933)"},
	"variables":   {"Registreringer som alltid skal foreligge", "What is always to be registered"},
	"var-note":    {"Hele kommunen; tall for hver enhet står i CSV og JSON.", "The whole municipality; figures by unit are in CSV and JSON."},
	"missing-col": {"Mangler", "Missing"},
	"variable":    {"Variabel", "Variable"},
	"answered":    {"Registrert", "Registered"},
	"share":       {"Andel registrert", "Share registered"},
	"shipments":   {"Innsendinger til registeret, siste tolv måneder", "Shipments to the register, last twelve months"},
	"kind":        {"Slag", "Kind"},
	"prepared":    {"Laget", "Prepared"},
	"replaced":    {"Erstatninger", "Replacements"},
	"attempts":    {"Forsøk", "Attempts"},
	"accepted":    {"Mottatt", "Accepted"},
	"rejected":    {"Avvist", "Rejected"},
	"no-shipment": {"Ingen innsendinger.", "No shipments."},
	"chart":       {"Stolpediagram for kommunen", "Bar chart of the municipality"},
	"in-table":    {"Tallene står i tabellen.", "The figures are in the table."},
	"persons":     {"Personer", "Persons"},
	"part":        {"Del", "Part"},
	"table":       {"Tabell", "Table"},
	"column":      {"Kolonne", "Column"},
	"hours-col":   {"Timer per uke", "Hours a week"},
	"about":       {"Om rapporten", "About the report"},
	"doctor-gap":  {"Legetimer per beboer er ikke beregnet: datasettet har ingen legetimer.", "Doctor hours per resident are not computed: the data set holds no doctor hours."},
}

func word(id, lang string) string { return words[id].in(lang) }
