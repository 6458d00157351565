// Package page shows a report of package measure to people: as a page that prints by itself ([HTML]) and
// as a sheet ([CSV]), in Norwegian and English. It shows what the report shows and nothing
// else; a hidden count has no bar, no share and no width.
package page
