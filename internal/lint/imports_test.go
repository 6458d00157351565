package lint

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const modulePath = "flette"

// pkg is what the import rules look at; paths of ours come without the module's prefix.
type pkg struct {
	path        string
	imports     []string // of non-test files
	testImports []string // of test files, inside the package or beside it
}

// room says what the packages under a path may import of ours. The first matching room
// counts. A path that ends in "/..." also stands for everything below it; "..." is all.
type room struct {
	path  string
	may   []string
	tests []string // what test files may import besides
}

var anything = []string{"..."}

var rooms = []room{
	{path: "model"},
	{path: "model/...", may: []string{"model/..."}},
	{path: "conflict", may: []string{"model"}},
	{path: "store", may: []string{"model"}},
	{path: "store/storetest", may: []string{"store", "model"}},
	{path: "store/bolt", may: []string{"store", "model", "internal/..."}, tests: []string{"store/storetest"}},
	{path: "store/postgres", may: []string{"store", "model", "internal/..."}, tests: []string{"store/storetest"}},
	{path: "journal", may: []string{"model"}},
	{
		path:  "sync",
		may:   []string{"conflict", "store", "journal", "model/...", "internal/..."},
		tests: []string{"store/...", "iplos/...", "mobile-contract/..."},
	},
	{path: "iplos", may: []string{"store", "model/..."}, tests: []string{"store/...", "sync", "journal"}},
	{path: "iplos/yearly", may: []string{"iplos", "iplos/kpr", "store", "model/..."}, tests: []string{"store/..."}},
	{path: "iplos/export", may: []string{"iplos", "store", "model/..."}, tests: []string{"store/...", "internal/sheet"}},
	{path: "iplos/flow", may: []string{"iplos", "store", "model/..."}},
	{path: "iplos/kpr", may: []string{"iplos", "store", "model/..."}, tests: []string{"store/...", "sync", "journal"}},
	{path: "iplos/submit", may: []string{"store", "model/..."}, tests: []string{"store/..."}},
	{path: "iplos/measure", may: []string{"iplos", "iplos/submit", "store", "model/..."}, tests: []string{"store/...", "sync", "journal"}},
	{path: "api/auth", may: []string{"model", "internal/..."}},
	{
		path:  "api/...",
		may:   []string{"api/...", "sync", "store", "iplos/...", "journal", "conflict", "model/...", "mobile-contract/...", "internal/..."},
		tests: anything,
	},
	{path: "mobile-contract/...", may: []string{"mobile-contract/...", "model", "internal/jwk"}, tests: anything},
	{path: "cmd/...", may: anything},
	{path: "internal/seal", may: []string{"model", "internal/..."}},
	{path: "internal/testkit", may: anything},
	{path: "internal/bench", tests: anything},
	{path: "internal/crash", tests: anything},
	{path: "internal/sim", tests: anything},
	{path: "internal/lint", tests: []string{"model/ident"}},
	{path: "internal/...", may: []string{"internal/..."}},
}

// fence keeps an outside package inside the rooms named; test files are free. It covers the
// packages below it too.
type fence struct {
	outside string
	only    []string
}

var fences = []fence{
	{"github.com/gofiber", []string{"api/..."}},
	{"github.com/valyala/fasthttp", []string{"api/..."}},
	{"go.etcd.io/bbolt", []string{"store/bolt"}},
	{"github.com/jackc/pgx", []string{"store/postgres"}},
	{"github.com/pressly/goose", []string{"store/postgres"}},
	{"github.com/golang-jwt/jwt", []string{"api/auth"}},
	{"github.com/go-jose/go-jose", []string{"api/auth", "internal/register/..."}},
	{"github.com/smallstep/pkcs7", []string{"internal/cms", "internal/register/fake"}},
	{"net/http/httptest", nil},
	{"github.com/tink-crypto/tink-go", []string{"internal/seal"}},
	{"html/template", []string{"api/..."}},
	{"github.com/alecthomas/kong", []string{"cmd/..."}},
	{"github.com/mdp/qrterminal", []string{"cmd/..."}},
	{"github.com/schollz/progressbar", []string{"cmd/..."}},
	{"github.com/google/go-cmp", []string{"store/storetest", "internal/testkit"}},
	{"pgregory.net/rapid", []string{"store/storetest", "internal/testkit"}},
	{"testing", []string{"store/storetest", "internal/testkit", "mobile-contract/check"}},
	// Version 1 takes duplicate members and folds the case of names: two readings of one body.
	{"encoding/json", nil},
}

// bans name what a room never imports, with the packages below it.
var bans = []struct {
	path string
	not  []string
}{
	{"model/...", []string{"os", "net", "io/fs", "context"}},
	{"conflict", []string{"os", "net", "io", "log", "context"}},
	{"journal", []string{"net"}},
	{"sync", []string{"net", "os"}},
	{"iplos/...", []string{"net"}},
}

// under reports whether path is pattern, or below it when the pattern ends in "/...".
func under(path, pattern string) bool {
	if pattern == "..." {
		return true
	}
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == dir || strings.HasPrefix(path, dir+"/")
	}
	return path == pattern
}

func underAny(path string, patterns []string) bool {
	for _, p := range patterns {
		if under(path, p) {
			return true
		}
	}
	return false
}

// brokenImports lists what a package imports against the rules, one sentence each.
func brokenImports(p pkg) []string {
	var out []string
	report := func(format string, args ...any) { out = append(out, p.path+" "+fmt.Sprintf(format, args...)) }
	var r *room
	for i := range rooms {
		if under(p.path, rooms[i].path) {
			r = &rooms[i]
			break
		}
	}
	if r == nil {
		report("has no room in the table of internal/lint")
		return out
	}
	judge := func(imp string, may []string, what string) {
		imp, ours := strings.CutPrefix(imp, modulePath+"/")
		switch {
		case !ours || imp == p.path:
		case under(imp, "cmd/...") && !under(p.path, "cmd/..."):
			report("%s %s: nothing imports cmd", what, imp)
		case !underAny(imp, may):
			report("%s %s, which its room does not allow", what, imp)
		}
	}
	for _, imp := range p.imports {
		judge(imp, r.may, "imports")
		for _, f := range fences {
			if under(imp, f.outside+"/...") && !underAny(p.path, f.only) {
				report("imports %s, which belongs to %v", imp, f.only)
			}
		}
		for _, b := range bans {
			for _, not := range b.not {
				if under(p.path, b.path) && under(imp, not+"/...") {
					report("imports %s, which it must do without", imp)
				}
			}
		}
		if imp == modulePath+"/internal/testkit" && p.path != "internal/testkit" {
			report("imports internal/testkit outside of tests")
		}
	}
	for _, imp := range p.testImports {
		judge(imp, append(append([]string{"internal/testkit"}, r.may...), r.tests...), "tests import")
	}
	return out
}

func TestImportDirections(t *testing.T) {
	pkgs := listPackages(t)
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages only", len(pkgs))
	}
	for _, p := range pkgs {
		for _, s := range brokenImports(p) {
			t.Error(s)
		}
	}
}

func TestImportRulesCanFail(t *testing.T) {
	const ours = modulePath + "/"
	for _, c := range []struct {
		name string
		p    pkg
		want string // "" when the package keeps the rules
	}{
		{"model stands alone", pkg{"model", []string{ours + "store"}, nil}, "model imports store"},
		{"model may use its parts only from below", pkg{"model/catalogue", []string{ours + "model", ours + "model/ident"}, nil}, ""},
		{"model does no I/O", pkg{"model/ident", []string{"os"}, nil}, "must do without"},
		{"model reads no network", pkg{"model", []string{"net/http"}, nil}, "must do without"},
		{"model tests too", pkg{"model", nil, []string{ours + "store"}}, "tests import store"},
		{"conflict knows no store", pkg{"conflict", []string{ours + "model", ours + "store"}, nil}, "imports store"},
		{"conflict knows no catalogue", pkg{"conflict", []string{ours + "model/catalogue"}, nil}, "imports model/catalogue"},
		{"conflict does not log", pkg{"conflict", []string{"log/slog"}, nil}, "must do without"},
		{"conflict has no context", pkg{"conflict", []string{"context"}, nil}, "must do without"},
		{"conflict has no network", pkg{"conflict", []string{"net/netip"}, nil}, "must do without"},
		{"store knows no driver", pkg{"store", []string{ours + "store/bolt"}, nil}, "imports store/bolt"},
		{"bolt knows no postgres", pkg{"store/bolt", []string{ours + "store/postgres"}, nil}, "imports store/postgres"},
		{"postgres knows no bolt, even in tests", pkg{"store/postgres", nil, []string{ours + "store/bolt"}}, "tests import store/bolt"},
		{"drivers know no engine", pkg{"store/bolt", []string{ours + "sync"}, nil}, "imports sync"},
		{"drivers may seal", pkg{"store/bolt", []string{ours + "internal/seal", "go.etcd.io/bbolt"}, []string{ours + "store/storetest"}}, ""},
		{"the suite names no driver", pkg{"store/storetest", nil, []string{ours + "store/bolt"}}, "tests import store/bolt"},
		{"journal knows no store", pkg{"journal", []string{ours + "store"}, nil}, "imports store"},
		{"journal knows no HTTP", pkg{"journal", []string{"net/http"}, nil}, "must do without"},
		{"sync knows no driver", pkg{"sync", []string{ours + "store/bolt"}, nil}, "imports store/bolt"},
		{"sync is tested on a driver", pkg{"sync", []string{ours + "conflict"}, []string{ours + "store/bolt"}}, ""},
		{"sync knows no register", pkg{"sync", []string{ours + "iplos"}, nil}, "imports iplos"},
		{"sync knows no fiber", pkg{"sync", []string{"github.com/gofiber/fiber/v2"}, nil}, "belongs to [api/...]"},
		{"sync writes no HTML", pkg{"sync", []string{"html/template"}, nil}, "belongs to [api/...]"},
		{"iplos knows no engine", pkg{"iplos", []string{ours + "sync"}, nil}, "imports sync"},
		{"iplos does not know its messages", pkg{"iplos", []string{ours + "iplos/kpr"}, nil}, "imports iplos/kpr"},
		{"messages build on the record", pkg{"iplos/kpr", []string{ours + "iplos", ours + "store"}, nil}, ""},
		{"api knows no driver", pkg{"api", []string{ours + "store/bolt"}, nil}, "imports store/bolt"},
		{"api is the fiber room", pkg{"api/desk", []string{"github.com/gofiber/fiber/v2", ours + "sync"}, nil}, ""},
		{"tokens are judged apart", pkg{"api/auth", []string{ours + "sync"}, nil}, "imports sync"},
		{"tokens belong to auth", pkg{"api", []string{"github.com/golang-jwt/jwt/v5"}, nil}, "belongs to [api/auth]"},
		{"the contract knows no server", pkg{"mobile-contract/client", []string{ours + "sync"}, nil}, "imports sync"},
		{"the contract knows keys", pkg{"mobile-contract/client", []string{ours + "internal/jwk", ours + "mobile-contract"}, nil}, ""},
		{"nothing imports cmd", pkg{"mobile-contract", nil, []string{ours + "cmd/flette"}}, "nothing imports cmd"},
		{"cmd wires everything", pkg{"cmd/flette", []string{ours + "store/bolt", ours + "api"}, nil}, ""},
		{"internal knows no domain", pkg{"internal/jwk", []string{ours + "model"}, nil}, "imports model"},
		{"but seal knows model", pkg{"internal/seal", []string{ours + "model"}, nil}, ""},
		{"the kit is for tests", pkg{"sync", []string{ours + "internal/testkit"}, nil}, "outside of tests"},
		{"bbolt has one home", pkg{"internal/limitio", []string{"go.etcd.io/bbolt/errors"}, nil}, "belongs to [store/bolt]"},
		{"pgx has one home", pkg{"cmd/flette", []string{"github.com/jackc/pgx/v5/pgxpool"}, nil}, "belongs to [store/postgres]"},
		{"one JSON reader", pkg{"sync", []string{"encoding/json"}, nil}, "imports encoding/json"},
		{"a new folder needs a room", pkg{"helpers", nil, nil}, "has no room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(brokenImports(c.p), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// listPackages asks the go command for every package of the module.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	goCmd, err := exec.LookPath("go")
	if err != nil {
		t.Skip("skipped: not found: the go command")
	}
	cmd := exec.Command(goCmd, "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root(t)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := jsontext.NewDecoder(out); dec.PeekKind() == '{'; {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := json.UnmarshalDecode(dec, &p); err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(p.ImportPath, modulePath+"/")
		pkgs = append(pkgs, pkg{path, p.Imports, append(p.TestImports, p.XTestImports...)})
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	return pkgs
}

// root is the folder of go.mod, two above this package.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
