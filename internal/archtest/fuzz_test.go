package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// parsers says which fuzz target gives each parser of what comes from outside
// anything: messages, files, texts. Those of another package are named with it.
// What begins with a dash is no such parser, with the reason.
var parsers = map[string]map[string]string{
	"internal/armor": {"Parse": "FuzzParse", "KindOf": "FuzzParse"},
	"internal/seal": {
		"ClaimUpdate": "FuzzClaim", "ClaimReceipt": "FuzzClaim", "ClaimTime": "FuzzClaim", "VerifyUpdate": "FuzzClaim",
		"OpenUpdate": "FuzzOpen", "OpenReceipt": "FuzzOpen", "OpenStatement": "FuzzOpen", "OpenFingerprint": "FuzzOpen", "OpenToken": "FuzzOpen",
		"OpenTime": "FuzzOpen", "VerifyFirmCert": "FuzzOpen", "ParseIdentity": "FuzzOpen", "ParsePublicIdentity": "FuzzOpen",
		"ParseGrant": "FuzzOpen", "ParseGroup": "FuzzOpen", "UnwrapKey": "FuzzOpen", "VerifyRotation": "FuzzRotation",
		"decodeReceipt": "FuzzOpen", "decodeStatement": "FuzzOpen", "decodeFingerprint": "FuzzOpen", "decodeToken": "FuzzOpen",
		"decodeTime": "FuzzOpen", "decodeUpdate": "FuzzOpen", "decodePayload": "FuzzOpen",
	},
	"internal/container": {
		"parseBinding": "FuzzBinding", "parseKeyFile": "FuzzBinding", "parseMeter": "FuzzNotes", "parseTrail": "FuzzNotes", "parseClock": "FuzzNotes",
		"Open": "FuzzImage",
	},
	"internal/container/pages": {"Read": "internal/container FuzzImage"},
	"internal/protect": {
		"ParseRecipient": "FuzzTexts", "DecodeRecipient": "FuzzTexts", "ParseIdentity": "FuzzTexts", "DecodeIdentity": "FuzzTexts", "Open": "FuzzOpen",
	},
	"internal/rpc": {
		"HealthFrom": "FuzzMessages", "ModeFrom": "FuzzMessages", "ProductFrom": "FuzzMessages", "HeldFrom": "FuzzMessages", "HeldsFrom": "FuzzMessages", "ViewFrom": "FuzzMessages",
		"viewedFrom": "FuzzMessages", "OptionsFrom": "FuzzMessages", "MomentFrom": "FuzzMessages", "MeterFrom": "FuzzMessages",
		"DataNameFrom": "FuzzMessages", "dataNameFrom": "FuzzMessages", "PresenceFrom": "FuzzMessages", "FromErrorInfo": "FuzzMessages", "CheckPin": "FuzzMessages",
	},
	"internal/linkapi": {
		"reportFrom": "FuzzMessages", "backendBytesFrom": "FuzzMessages", "pushFrom": "FuzzMessages", "eventFrom": "FuzzMessages", "servedFrom": "FuzzMessages", "questionsFrom": "FuzzMessages",
	},
	"internal/license": {
		"ParseProduct": "FuzzTexts", "ParseSerial": "FuzzTexts", "ParseAccessRule": "FuzzTexts", "ParseSubnet": "FuzzTexts", "parseDecimal": "FuzzTexts",
	},
	"internal/licenseserver":        {"clientFrom": "FuzzRequests", "cursorFrom": "FuzzRequests"},
	"internal/lease/memlease":       {"decode": "FuzzRecords", "Open": "FuzzRecords"},
	"internal/lease/quorumlease":    {"parseRecord": "FuzzRead", "parseEvent": "FuzzRead"},
	"internal/lease/redislease":     {"unpack": "FuzzEvents"},
	"internal/journal/boltjournal":  {"decodeRecord": "FuzzValues", "decodeEvent": "FuzzValues", "Open": "internal/boltfile FuzzOpen"},
	"internal/journal/redisjournal": {"parseState": "FuzzValues", "parseRecord": "FuzzValues", "parseEvent": "FuzzValues", "parseDigits": "FuzzValues", "Open": "- opens a connection"},
	"internal/journal/journalrpc": {
		"stateFrom": "FuzzMessages", "batchFrom": "FuzzMessages", "rosterFrom": "FuzzMessages", "recordFrom": "FuzzMessages",
		"recordsFrom": "FuzzMessages", "eventsFrom": "FuzzMessages", "marksFrom": "FuzzMessages", "keyFrom": "FuzzMessages",
		"promiseFrom": "FuzzMessages", "termFrom": "FuzzMessages",
	},
	"internal/live":                   {"ParsePosition": "FuzzPosition"},
	"resolvers/socket":                {"parse": "FuzzMessage", "parseParams": "FuzzMessage"},
	"internal/live/redislog":          {"entryOf": "FuzzEntry", "positionOf": "FuzzEntry", "itemOf": "FuzzEntry"},
	"internal/ticket":                 {"Parse": "FuzzParse"},
	"internal/boltfile":               {"Open": "FuzzOpen"},
	"internal/platform/core":          {"ParseMasterKey": "FuzzMasterKey", "ParseFile": "internal/armor FuzzParse"},
	"internal/platform/firmkeys":      {"decryptFirmKey": "FuzzFirmKeyFile"},
	"internal/rules":                  {"Parse": "FuzzParse"},
	"internal/importer":               {"ParseFlexNet": "FuzzFlexNet", "ParseKeygen": "FuzzKeygen", "ParseCSV": "FuzzCSV"},
	"resolvers/documents":             {"Parse": "FuzzParse"},
	"internal/usage":                  {"ParseLine": "FuzzLog"},
	"internal/offline":                {},
	"internal/webhook":                {"ParseSecret": "FuzzTexts"},
	"internal/outbound":               {"ParseNetworks": "FuzzNetworks"},
	"internal/httpd":                  {"parseForwarded": "FuzzForwarded", "parseHop": "FuzzForwarded"},
	"internal/auth":                   {"TokenHash": "FuzzToken", "decode": "- of the platform's own database"},
	"internal/machine":                {},
	"cmd/quorate/internal/cli":        {"ParseTime": "FuzzTimes", "ParseLong": "FuzzTimes"},
	"cmd/quorate/internal/filetools":  {"parseFile": "FuzzFiles", "parseRoot": "FuzzFlags", "ParseActivationID": "FuzzFlags", "parseBind": "FuzzFlags"},
	"cmd/quorate/internal/rulestools": {"parseUsage": "FuzzUsage"},
	"cmd/quorate/internal/roles":      {"parseBackend": "FuzzBackend"},
}

// parserName is how parsers are called here; what they take tells the rest.
var parserName = regexp.MustCompile(`^(Parse|parse|Decode|decode|Unmarshal|Claim|Unwrap|Verify|Open|KindOf)([A-Z]|$)|[a-z]From$`)

// TestEveryParserIsFuzzed: who adds a parser adds a fuzz target, with real
// messages as its seeds.
func TestEveryParserIsFuzzed(t *testing.T) {
	root := filepath.Join("..", "..")
	targets := map[string]map[string]bool{}
	declared := map[string]map[string]bool{}
	for dir := range parsers {
		targets[dir], declared[dir] = map[string]bool{}, map[string]bool{}
		entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(dir)))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(dir), e.Name()), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || f.Recv != nil {
					continue
				}
				name := f.Name.Name
				if strings.HasSuffix(e.Name(), "_test.go") {
					if strings.HasPrefix(name, "Fuzz") {
						targets[dir][name] = seeded(f)
					}
					continue
				}
				declared[dir][name] = true
				if parserName.MatchString(name) && takesOutside(f) && parsers[dir][name] == "" {
					t.Errorf("%s.%s reads what may come from outside: write a fuzz target, and enter it in the table above", dir, name)
				}
			}
		}
	}
	for dir, all := range parsers {
		for name, target := range all {
			if !declared[dir][name] {
				t.Errorf("%s has no %s any more", dir, name)
			}
			if strings.HasPrefix(target, "-") {
				continue
			}
			in := dir
			if other, name, ok := strings.Cut(target, " "); ok {
				in, target = other, name
			}
			if fine, there := targets[in][target]; !there || !fine {
				t.Errorf("%s.%s: %s has no %s with seeds", dir, name, path.Base(in), target)
			}
		}
	}
}

// takesOutside says whether the first parameter is bytes, text, a reader or a
// message.
func takesOutside(f *ast.FuncDecl) bool {
	if f.Type.Params.NumFields() == 0 || f.Type.Results.NumFields() == 0 {
		return false
	}
	var text strings.Builder
	ast.Inspect(f.Type.Params.List[0].Type, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ArrayType:
			text.WriteString("[]")
		case *ast.Ident:
			text.WriteString(n.Name + ".")
		}
		return true
	})
	s := text.String()
	return slices.Contains([]string{"[]byte.", "string.", "io.Reader."}, s) || strings.Contains(s, "quoratev1.")
}

// seeded says whether a fuzz target begins with something.
func seeded(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
			found = true
		}
		return true
	})
	return found
}
