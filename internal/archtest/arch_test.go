// Package archtest asserts which package may import which, so that the layers
// stay layers. docs/architecture.md explains the table.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/quorate/quorate"

// rule is what the packages at and below a folder may import. Names without a
// dot in their first element are packages of this module; the standard library
// is always allowed.
type rule struct {
	may []string
	why string
}

var rules = map[string]rule{
	"internal/license":               {why: "the rules can be read and tested without anything else"},
	"internal/seal":                  {may: []string{"internal/license"}, why: "formats and signatures need no storage and no network"},
	"internal/armor":                 {may: []string{"internal/license", "internal/seal"}, why: "files are text around signed messages"},
	"internal/container":             {may: []string{"internal/license", "internal/seal", "internal/durable", "go.etcd.io/bbolt"}, why: "a durable file, nothing else"},
	"internal/container/pages":       {why: "bytes in memory: it opens nothing, and calls no database"},
	"internal/machine":               {why: "reads files of the system; who binds what to it is not its matter"},
	"internal/gcfloor":               {why: "a setting of the process"},
	"internal/station":               {may: []string{"internal/machine"}, why: "reads files of the system; what is shared on a station is not its matter"},
	"internal/lease":                 {may: []string{"internal/license"}, why: "the contract belongs to no driver"},
	"internal/lease/book":            {may: []string{"internal/license", "internal/lease"}, why: "decides without I/O and clock, for any driver"},
	"internal/lease/memlease":        {may: []string{"internal/license", "internal/lease", "internal/lease/book", "internal/boltfile", "go.etcd.io/bbolt"}, why: "one process, one file"},
	"internal/lease/redislease":      {may: []string{"internal/license", "internal/lease", "github.com/redis/go-redis/v9"}, why: "only this driver knows Redis"},
	"internal/lease/history":         {may: []string{"internal/license", "internal/lease"}, why: "judges what callers saw, whatever the store"},
	"internal/lease/quorumlease":     {may: []string{"internal/license", "internal/lease", "internal/lease/book", "internal/journal"}, why: "one leader over journals, whatever keeps them"},
	"internal/lease/leasetest":       {may: []string{"internal/license", "internal/lease", "internal/lease/history", "internal/testenv", "github.com/google/uuid", "pgregory.net/rapid", "github.com/anishathalye/porcupine"}, why: "the suite knows the contract, no driver"},
	"internal/rules":                 {may: []string{"internal/license"}, why: "pure: it knows neither seats nor a clock"},
	"internal/durable":               {why: "files only"},
	"internal/rpc":                   {may: []string{"internal/license", "internal/durable", "connectrpc.com/connect", "google.golang.org/protobuf", "golang.org/x/net"}, why: "messages belong to both chains"},
	"internal/rpc/proto":             {why: "the files of the protocol"},
	"internal/backend":               {may: []string{"internal/license", "internal/seal", "internal/container", "internal/journal", "internal/journal/journalrpc", "internal/rpc", "connectrpc.com/connect", "google.golang.org/protobuf"}, why: "a backend serves one container"},
	"internal/journal":               {may: []string{"internal/license"}, why: "what a backend keeps for the seats, and how a leader counts to two, needs no driver"},
	"internal/tmr":                   {may: []string{"internal/license", "internal/journal", "internal/journal/journalrpc", "internal/rpc", "connectrpc.com/connect", "google.golang.org/protobuf"}, why: "the group only sees what backends show"},
	"internal/link":                  {may: []string{"internal/telemetry", "internal/telemetry/calls", "go.opentelemetry.io/otel/attribute", "internal/license", "internal/seal", "internal/container", "internal/lease", "internal/rpc", "connectrpc.com/connect", "google.golang.org/protobuf"}, why: "the customer's side of the link knows nothing of the platform"},
	"internal/offline":               {may: []string{"internal/license", "internal/seal", "internal/armor", "internal/container", "internal/rollout", "internal/rpc", "connectrpc.com/connect", "google.golang.org/protobuf"}, why: "drives a group, or a container, by files"},
	"internal/licenseserver/arbiter": {may: []string{"internal/license", "internal/lease"}, why: "says who is to lead, whatever that one serves"},
	"internal/licenseserver":         {may: []string{"internal/license", "internal/seal", "internal/lease", "internal/rpc", "connectrpc.com/connect", "google.golang.org/protobuf"}, why: "works over any source and any lease store"},
	"internal/protect":               {may: []string{"internal/license", "internal/seal", "filippo.io/age"}, why: "files and keys: who is asked to open them is a callback"},
	"client":                         {may: []string{"internal/license", "internal/rpc", "internal/protect", "internal/station", "golang.org/x/sys", "connectrpc.com/connect", "google.golang.org/protobuf", "github.com/google/uuid"}, why: "customers link it into their programs; protected files it opens for them"},
	"internal/rollout":               {may: []string{"internal/license"}, why: "a pure state machine"},
	"internal/usage":                 {may: []string{"internal/license"}, why: "arithmetic and texts"},
	"internal/auth":                  {may: []string{"internal/license", "golang.org/x/crypto", "github.com/pquerna/otp"}, why: "who asks, and what he may"},
	"internal/event":                 {may: []string{"internal/license"}, why: "ids and figures only"},
	"internal/event/redisevent":      {may: []string{"internal/license", "internal/event", "github.com/redis/go-redis/v9"}, why: "only this driver knows Redis"},
	"internal/outbound":              {may: []string{"internal/license"}, why: "calls addresses that customers gave; what for is its callers' matter"},
	"internal/ratelimit":             {may: []string{"internal/license", "github.com/redis/go-redis/v9"}, why: "counts by keys; whose they are is its callers' matter"},
	"internal/live":                  {may: []string{"internal/license", "internal/event"}, why: "streams of anything: what is shown, and to whom, their sources say"},
	"internal/live/redislog":         {may: []string{"internal/live", "github.com/redis/go-redis/v9"}, why: "only this driver knows Redis"},
	"internal/live/livetest":         {may: []string{"internal/live"}, why: "the suite knows the contract, no driver"},
	"internal/store":                 {may: []string{"internal/telemetry", "internal/license", "internal/auth", "ent", "entgo.io/ent", "ariga.io/atlas", "github.com/lib/pq", "modernc.org/sqlite", "golang.org/x/sys"}, why: "opens the database"},
	"internal/webhook":               {may: []string{"internal/license", "internal/outbound"}, why: "signs and sends; what, and to whom, is not its matter"},
	"internal/platform/webhooks":     {may: []string{"internal/platform/core", "internal/auth", "internal/license", "internal/store", "internal/webhook", "ent", "ent/schema/property"}, why: "who is told, and what became of it; sending is the webhook package's"},
	"internal/platform":              {may: []string{"internal/webhook", "ent/schema/property", "internal/license", "internal/auth", "internal/store", "internal/event", "ent", "internal/ratelimit"}, why: "puts the services together"},
	"internal/platform/core":         {may: []string{"github.com/google/uuid", "internal/armor", "internal/auth", "internal/durable", "internal/event", "internal/license", "internal/seal", "internal/store", "ent", "ent/schema/property", "internal/ratelimit"}, why: "what services share: no use case, and no service"},
	"internal/platform/tasks":        {may: []string{"internal/telemetry", "internal/platform/core", "internal/event", "internal/license", "internal/store", "ent", "ent/schema/property"}, why: "what is to be done, whoever asks for it"},
	"internal/platform/history":      {may: []string{"internal/platform/core", "internal/platform/tasks", "internal/auth", "internal/event", "internal/license", "internal/store", "internal/usage", "ent", "ent/schema/property", "entgo.io/ent"}, why: "rows of what happened, and their reading"},
	"internal/platform/views":        {may: []string{"internal/platform/core", "internal/platform/history", "internal/platform/tasks", "internal/event", "internal/license", "internal/store", "ent", "ent/schema/property"}, why: "what groups show; what they hold is the history's"},
	"internal/platform/catalog":      {may: []string{"internal/platform/core", "internal/auth", "internal/license", "internal/seal", "internal/store", "ent", "ent/schema/property"}, why: "what is sold, not to whom"},
	"internal/platform/firmkeys":     {may: []string{"internal/platform/catalog", "internal/platform/core", "internal/auth", "internal/license", "internal/seal", "internal/store", "ent", "filippo.io/age"}, why: "age is the format of exported keys"},
	"internal/platform/rulesets":     {may: []string{"internal/platform/core", "internal/auth", "internal/event", "internal/license", "internal/rules", "internal/store", "ent", "internal/ratelimit"}, why: "versions of rules, and what they would have refused"},
	"internal/platform/containers":   {may: []string{"internal/platform/catalog", "internal/platform/core", "internal/platform/tasks", "internal/auth", "internal/license", "internal/rollout", "internal/seal", "internal/store", "ent", "ent/schema/property"}, why: "what is known of containers; who brings them licenses is not their matter"},
	"internal/platform/accounts":     {may: []string{"internal/event", "internal/platform/members", "internal/platform/containers", "internal/platform/core", "internal/auth", "internal/license", "internal/seal", "internal/store", "ent", "ent/schema/property", "internal/ratelimit"}, why: "who asks; what he may is auth's"},
	"internal/platform/members":      {may: []string{"internal/platform/core", "internal/auth", "internal/event", "internal/license", "internal/store", "ent", "ent/schema/property"}, why: "who belongs to an organization; how they come in is not its matter"},
	"internal/platform/tenants":      {may: []string{"internal/platform/core", "internal/auth", "internal/event", "internal/license", "internal/store", "ent", "ent/schema/property", "entgo.io/ent"}, why: "organizations, and what they did"},
	"internal/platform/signin":       {may: []string{"internal/platform/core", "internal/platform/members", "internal/auth", "internal/license", "internal/outbound", "internal/store", "internal/ratelimit", "ent", "ent/schema/property", "entgo.io/ent", "github.com/coreos/go-oidc/v3", "golang.org/x/oauth2"}, why: "who comes in, and how; what he may is auth's"},
	"internal/platform/clocks":       {may: []string{"internal/platform/core", "internal/armor", "internal/auth", "internal/license", "internal/seal", "internal/store", "ent", "ent/schema/property", "internal/ratelimit"}, why: "the time needs no rollout"},
	"internal/platform/orders":       {may: []string{"internal/platform/catalog", "internal/platform/containers", "internal/platform/core", "internal/auth", "internal/event", "internal/license", "internal/store", "ent", "ent/schema/property"}, why: "what licenses are wanted where; bringing them is the rollouts' matter"},
	"internal/platform/rollouts":     {may: []string{"internal/platform/catalog", "internal/platform/clocks", "internal/platform/containers", "internal/platform/core", "internal/platform/orders", "internal/platform/tasks", "internal/armor", "internal/auth", "internal/event", "internal/license", "internal/rollout", "internal/seal", "internal/store", "ent", "ent/schema/property"}, why: "drives the state machine, over the link or by files"},
	"internal/platform/provision":    {may: []string{"internal/platform/catalog", "internal/platform/containers", "internal/platform/core", "internal/armor", "internal/auth", "internal/license", "internal/seal", "internal/store", "ent", "ent/schema/property"}, why: "makes rows; licenses come by orders"},
	"internal/platform/links":        {may: []string{"internal/platform/core", "internal/platform/history", "internal/platform/rulesets", "internal/platform/tasks", "internal/platform/views", "internal/auth", "internal/event", "internal/license", "internal/seal", "internal/store", "ent", "ent/schema/property", "entgo.io/ent"}, why: "the servers' calls, given to the services that they are for"},
	"internal/linkapi":               {may: []string{"ent", "ent/schema/property", "internal/platform/enrollments", "internal/license", "internal/auth", "internal/rpc", "internal/platform/tasks", "internal/platform/history", "internal/platform/views", "internal/platform/rulesets", "internal/platform/clocks", "internal/platform/links", "connectrpc.com/connect", "google.golang.org/protobuf"}, why: "decode, call a use case, encode"},
	"internal/usageapi":              {may: []string{"ent/schema/property", "ent", "internal/license", "internal/usage", "internal/platform/history"}, why: "decode, call a use case, encode"},
	"internal/httpd":                 {may: []string{"internal/telemetry", "internal/license", "internal/auth", "github.com/prometheus/client_golang", "github.com/alexedwards/scs/v2", "internal/ratelimit"}, why: "HTTP knows no use case"},
	"internal/session":               {may: []string{"internal/license", "internal/auth", "internal/httpd", "internal/platform/signin", "internal/store", "github.com/alexedwards/scs/v2"}, why: "joins accounts and HTTP; neither knows the other"},
	"workers":                        {may: []string{"internal/telemetry", "github.com/prometheus/client_golang/prometheus", "go.opentelemetry.io/otel/attribute", "internal/license", "internal/platform/core", "internal/platform/tasks", "internal/platform/history", "internal/platform/links", "internal/platform/rollouts", "internal/platform/webhooks", "internal/store", "internal/auth", "github.com/riverqueue/river"}, why: "a job calls a use case"},
	"graph":                          {may: []string{"ent/schema/property", "ent", "internal/license", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2", "entgo.io/contrib/entgql"}, why: "generated"},
	"resolvers":                      {may: []string{"internal/platform/signin", "ent/schema/property", "graph", "ent", "internal/platform", "internal/platform/webhooks", "internal/platform/accounts", "internal/platform/members", "internal/platform/tenants", "internal/platform/core", "internal/platform/history", "internal/platform/views", "internal/platform/catalog", "internal/platform/rulesets", "internal/platform/containers", "internal/platform/orders", "internal/platform/rollouts", "internal/platform/plans", "internal/platform/provision", "internal/platform/links", "internal/platform/tickets", "internal/platform/enrollments", "internal/event", "internal/live", "resolvers/socket", "internal/auth", "internal/license", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2", "entgo.io/contrib/entgql", "entgo.io/ent", "internal/ratelimit"}, why: "decode, call a use case, encode"},
	"resolvers/socket":               {may: []string{"github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2", "github.com/coder/websocket"}, why: "speaks the protocol; what is executed, and for whom, is told to it"},
	"resolvers/limits":               {may: []string{"resolvers/present", "ent", "ent/schema/property", "internal/license", "internal/platform/history", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2"}, why: "counts before anything is executed; how many points there may be the history says"},
	"resolvers/admission":            {may: []string{"internal/auth", "internal/license", "internal/ratelimit", "resolvers/documents", "resolvers/limits", "resolvers/present", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2"}, why: "decides before anything is executed"},
	"resolvers/convert":              {may: []string{"ent", "ent/schema/property", "graph", "internal/auth", "internal/license", "internal/rules", "internal/platform/catalog", "internal/platform/core", "internal/platform/history", "internal/platform/links", "internal/platform/members", "internal/platform/orders", "internal/platform/rulesets", "internal/platform/tickets", "internal/platform/webhooks", "resolvers/present", "github.com/99designs/gqlgen", "entgo.io/contrib/entgql"}, why: "says the same in other words, and reads nothing"},
	"resolvers/watch":                {may: []string{"resolvers/convert", "ent", "ent/schema/property", "graph", "internal/auth", "internal/event", "internal/license", "internal/live", "internal/platform", "internal/platform/core", "internal/platform/history", "internal/platform/plans", "internal/platform/views", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2", "entgo.io/ent"}, why: "plans what subscriptions watch; carrying it out is not its matter"},
	"resolvers/filters":              {may: []string{"ent", "ent/schema/property", "internal/platform/core"}, why: "arguments of lists; who may see what is the guard's"},
	"resolvers/loading":              {may: []string{"entgo.io/ent", "ent", "ent/schema/property", "graph", "internal/platform/containers", "internal/platform/core", "internal/platform/history", "internal/platform/rulesets", "resolvers/convert", "github.com/99designs/gqlgen"}, why: "reads for many rows at once; what it means is decided elsewhere"},
	"resolvers/observe":              {may: []string{"internal/license", "internal/telemetry", "github.com/99designs/gqlgen", "github.com/prometheus/client_golang/prometheus", "github.com/vektah/gqlparser/v2", "go.opentelemetry.io/otel/attribute"}, why: "counts and traces operations, whatever they are"},
	"resolvers/rights":               {may: []string{"ent", "internal/auth", "internal/event", "internal/license"}, why: "who has to show anew what he may; what it is asked for is not its matter"},
	"resolvers/documents":            {may: []string{"internal/license", "github.com/99designs/gqlgen", "github.com/redis/go-redis/v9"}, why: "texts by their digests; who may execute them is not its matter"},
	"resolvers/present":              {may: []string{"ent", "internal/license", "internal/ratelimit", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2"}, why: "errors need no use case"},
	"ent/schema":                     {may: []string{"internal/license", "entgo.io/ent", "entgo.io/contrib/entgql", "github.com/google/uuid"}, why: "the schema must not need what is generated from it"},
	"frontend":                       {why: "files only"},

	"internal/licenseserver/source":   {may: []string{"internal/license", "internal/licenseserver"}, why: "what a container or a group is to it, its interfaces say"},
	"internal/licenseserver/rulebook": {may: []string{"internal/license", "internal/durable", "internal/lease", "internal/rules"}, why: "which rules count; who asks for them is not its matter"},

	"internal/telemetry":       {may: []string{"internal/license", "github.com/prometheus/client_golang/prometheus", "go.opentelemetry.io/otel"}, why: "what operators see; it knows neither tenants nor use cases"},
	"internal/telemetry/calls": {may: []string{"internal/license", "internal/rpc", "internal/telemetry", "connectrpc.com/connect", "github.com/prometheus/client_golang/prometheus", "go.opentelemetry.io/otel/attribute"}, why: "watches calls, answers none"},
	"internal/importer":        {may: []string{"internal/license", "internal/rules"}, why: "pure: files of others become a plan; who carries it out is not its matter"},

	"internal/ticket":               {may: []string{"internal/license"}, why: "texts; whose codes they are is not its matter"},
	"internal/platform/plans":       {may: []string{"internal/platform/core", "internal/platform/rollouts", "internal/platform/tasks", "internal/auth", "internal/event", "internal/license", "internal/store", "ent", "ent/schema/property"}, why: "starts rollouts in waves, by the use cases there are"},
	"internal/platform/tickets":     {may: []string{"entgo.io/ent", "internal/platform/core", "internal/platform/orders", "internal/platform/rollouts", "internal/armor", "internal/auth", "internal/event", "internal/license", "internal/ratelimit", "internal/store", "internal/ticket", "ent", "ent/schema/property"}, why: "what was sold and is not activated yet; licenses come by orders and rollouts"},
	"internal/platform/enrollments": {may: []string{"internal/platform/core", "internal/auth", "internal/event", "internal/license", "internal/ratelimit", "internal/store", "internal/ticket", "ent", "ent/schema/property"}, why: "how servers become known; what they do at the link is not its matter"},

	"internal/boltfile":             {may: []string{"go.etcd.io/bbolt", "golang.org/x/sys"}, why: "files, whatever they hold"},
	"internal/journal/boltjournal":  {may: []string{"internal/license", "internal/journal", "internal/boltfile", "go.etcd.io/bbolt"}, why: "one file beside the container"},
	"internal/journal/redisjournal": {may: []string{"internal/license", "internal/journal", "github.com/redis/go-redis/v9"}, why: "only this driver knows Redis"},
	"internal/journal/journalrpc":   {may: []string{"internal/license", "internal/journal", "internal/rpc", "connectrpc.com/connect", "google.golang.org/protobuf"}, why: "carries a journal, keeps none"},
	"internal/journal/journaltest":  {may: []string{"internal/license", "internal/journal"}, why: "the suite knows the contract, no driver"},

	"graph/schema":                     {may: []string{"github.com/vektah/gqlparser/v2"}, why: "the definition alone"},
	"cmd/quorate":                      {may: []string{"internal/machine"}, why: "the tree of commands; they are in packages below"},
	"cmd/quorate/internal/hooktools":   {may: []string{"cmd/quorate/internal/cli", "internal/license", "internal/webhook"}, why: "asks the platform through its API alone; messages are verified where they lie"},
	"cmd/quorate/internal/cli":         {may: []string{"internal/license", "client", "github.com/alecthomas/kong"}, why: "what all commands share belongs to none of them"},
	"cmd/quorate/internal/filetools":   {may: []string{"cmd/quorate/internal/cli", "internal/license", "internal/seal", "internal/armor", "internal/container", "internal/durable", "internal/machine", "internal/offline", "internal/rpc", "connectrpc.com/connect"}, why: "opens containers and files, and asks TMR servers; runs no server"},
	"cmd/quorate/internal/clienttools": {may: []string{"cmd/quorate/internal/cli", "internal/license", "internal/durable", "internal/protect", "internal/rpc/proto", "client", "filippo.io/age", "golang.org/x/sys", "golang.org/x/term"}, why: "asks license servers through the SDK alone"},
	"cmd/quorate/internal/rulestools":  {may: []string{"cmd/quorate/internal/cli", "internal/license", "internal/rules", "internal/usage", "client"}, why: "reads files of rules, and exports of usage history; asks license servers through the SDK, and the platform through its API"},
	"cmd/quorate/internal/apitools":    {may: []string{"cmd/quorate/internal/cli", "internal/license", "graph/schema", "github.com/vektah/gqlparser/v2"}, why: "made from the API's definition, and asks through it"},
	"cmd/quorate/internal/orgtools":    {may: []string{"cmd/quorate/internal/cli", "internal/license"}, why: "asks the platform through its API alone"},
	"cmd/quorate/internal/tickettools": {may: []string{"cmd/quorate/internal/cli", "cmd/quorate/internal/filetools", "internal/license", "internal/armor"}, why: "asks the platform through its API alone; files of requests and updates it reads and writes as text"},
	"cmd/quorate/internal/fleettools":  {may: []string{"cmd/quorate/internal/cli", "internal/license"}, why: "asks the platform through its API alone"},
	"cmd/quorate/internal/vendortools": {may: []string{"cmd/quorate/internal/cli", "cmd/quorate/internal/filetools", "internal/armor", "internal/auth", "internal/durable", "internal/license", "internal/platform", "internal/platform/catalog", "internal/platform/core", "internal/platform/firmkeys", "internal/platform/provision"}, why: "runs use cases at the platform's database, which roles open: drivers are not its matter"},
	"cmd/quorate/internal/admin":       {may: []string{"internal/importer", "cmd/quorate/internal/cli", "cmd/quorate/internal/filetools", "internal/license", "internal/armor", "internal/durable", "internal/usage"}, why: "asks the platform through its API alone; a usage log is verified where it lies"},
}

// free lists what may import anything: wiring, tools, generated code, tests.
var free = []string{"cmd/quorate/internal/roles", "ent", "internal/tools", "internal/testenv", "internal/store/storetest", "internal/archtest", "internal/e2e"}

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	checked := map[string]int{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		at, r, ok := ruleFor(pkg)
		if !ok {
			if !below(pkg, free) {
				t.Errorf("%s: no import rule for this package: add it to the table, with its reason", pkg)
			}
			return nil
		}
		checked[at]++
		for _, spec := range f.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if !allowed(at, imported, r) {
				t.Errorf("%s imports %s, which %s may not: %s", file, imported, at, r.why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for at := range rules {
		if _, err := os.Stat(filepath.Join(root, at)); err == nil && checked[at] == 0 {
			t.Errorf("%s: the folder is there, yet no file was checked", at)
		}
	}
}

// ruleFor gives the rule of the longest folder that pkg lies in. A service has
// none but its own.
func ruleFor(pkg string) (string, rule, bool) {
	for at := pkg; at != "." && at != "/"; at = path.Dir(at) {
		if r, ok := rules[at]; ok {
			return at, r, true
		}
		if at == pkg && strings.HasPrefix(pkg, "internal/platform/") {
			break
		}
		if slices.Contains(free, at) {
			break
		}
	}
	return "", rule{}, false
}

func allowed(at, imported string, r rule) bool {
	first, _, _ := strings.Cut(imported, "/")
	local, ours := strings.CutPrefix(imported, module+"/")
	switch {
	case ours:
		return within(local, at) || below(local, r.may)
	case !strings.Contains(first, "."):
		return true
	default:
		return below(imported, r.may)
	}
}

// below says whether pkg is one of the folders or lies in one. A folder with a
// rule of its own is not covered by its parent's name.
func below(pkg string, folders []string) bool {
	for _, f := range folders {
		if pkg == f {
			return true
		}
		if within(pkg, f) {
			if at, _, ok := ruleFor(pkg); !ok || at == f {
				return true
			}
		}
	}
	return false
}

func within(pkg, folder string) bool {
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

// The check itself must be able to fail.
func TestRulesRefuse(t *testing.T) {
	if at, _, ok := ruleFor("internal/platform/new"); ok {
		t.Errorf("a new service has the rule of %s", at)
	}
	refused := []struct{ pkg, imports string }{
		{"internal/license", "github.com/google/uuid"},
		{"internal/license", module + "/internal/seal"},
		{"internal/lease", "github.com/redis/go-redis/v9"},
		{"internal/licenseserver", module + "/internal/platform"},
		{"client", module + "/internal/lease"},
		{"client", "filippo.io/age"},
		{"internal/protect", module + "/client"},
		{"internal/platform", module + "/internal/tmr"},
		{"internal/platform/core", module + "/internal/platform/catalog"},
		{"internal/platform/catalog", module + "/internal/platform/orders"},
		{"workers", module + "/internal/platform/accounts"},
		{"resolvers", "github.com/lib/pq"},
		{"ent/schema", module + "/ent"},
		{"cmd/quorate/internal/admin", module + "/internal/platform"},
		{"cmd/quorate/internal/admin", module + "/cmd/quorate/internal/roles"},
		{"cmd/quorate/internal/filetools", "github.com/redis/go-redis/v9"},
	}
	for _, tt := range refused {
		at, r, ok := ruleFor(tt.pkg)
		if !ok {
			t.Errorf("%s has no rule", tt.pkg)
			continue
		}
		if allowed(at, tt.imports, r) {
			t.Errorf("%s may import %s", tt.pkg, tt.imports)
		}
	}
}
