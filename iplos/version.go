package iplos

import "flette/model/catalogue"

// rulesVersion is raised with every change of what the rules find: stored findings are judged
// anew then. A test notices a change of the code.
const rulesVersion = "2026-11-26.1"

// RulesVersion names the rules of this build, the catalogue that they read included.
func RulesVersion() string { return rulesVersion + "+" + catalogue.Default().Version }
