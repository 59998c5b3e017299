// How the search orders what it finds: pages that explain before the reference and the Python API.
const reference = (page) => page.startsWith("api/") ? 30 : page === "configuration" || page === "reading_trial" || page === "trials" ? 12 : 0;

var Scorer = {
  score: (result) => result[4] - reference(result[0]),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
