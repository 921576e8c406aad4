package isolation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/ticket"
	"github.com/quorate/quorate/internal/usage"
	"github.com/quorate/quorate/internal/webhook"
)

// keyring makes the keys, codes and files in rows: with made-up ones use cases
// would fail before they come to whose something is.
type keyring struct {
	wrapper core.KeyWrapper
	root    seal.Signer
	// of containers, by row
	identities map[string]*seal.Identity
}

func (s *seeder) must(v any, err error) any {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *seeder) sealed(ctx context.Context, purpose string, secret []byte) any {
	s.t.Helper()
	return s.must(s.keys.wrapper.Seal(ctx, purpose, secret))
}

// rootKey makes the platform's.
func (s *seeder) rootKey(ctx context.Context) {
	s.t.Helper()
	seed, err := seal.NewSeed()
	if err != nil {
		s.t.Fatal(err)
	}
	s.keys.root = seal.NewSigner(seed)
	r := row{"id": "key_root", "created_at": time.Now().UTC(), "name": core.RootKeyName, "sealed": s.sealed(ctx, core.RootKeyName, seed)}
	if err := s.put(ctx, "platform_keys", r); err != nil {
		s.t.Fatal(err)
	}
}

// keep notes a secret of a row: it is looked for in answers as other texts are.
func (s *seeder) keep(w *tenants, name, secret string, of canary) {
	if w.secrets[name] == "" {
		w.secrets[name] = secret
	}
	s.canaries[secret] = of
}

func number(v any) uint32 {
	n, _ := v.(int)
	return uint32(n) //nolint:gosec // the seeder's own small numbers
}

// real puts what a use case reads into a row in place of what is made up.
func (s *seeder) real(ctx context.Context, w *tenants, table string, i int, r row) {
	s.t.Helper()
	of := func(column string) canary { return canary{table, r.id(), column} }
	first := func(table string, column string) any { return w.rows[table][0][column] }
	switch table {
	case "firms":
		seed := s.must(seal.NewSeed()).([]byte)
		key := seal.NewSigner(seed)
		r["sealed_key"], r["public_key"] = s.sealed(ctx, core.FirmPurpose(int(number(r["code"]))), seed), []byte(key.Public())
		r["cert"] = s.must(seal.SignFirmCert(s.keys.root, seal.FirmCert{Firm: license.FirmCode(number(r["code"])), Key: key.Public(), Serial: 1}))
	case "firm_keys":
		r["serial"], r["public_key"] = 1, w.rows["firms"][i]["public_key"]
		delete(r, "rotation")
	case "products":
		private, public, err := seal.NewProductKey()
		if err != nil {
			s.t.Fatal(err)
		}
		r["sealed_key"], r["public_key"] = s.sealed(ctx, core.ProductPurpose(fmt.Sprint(r["firm_id"]), int(number(r["code"]))), private), public
	case "items":
		r["quantity"], r["tmr"] = 5, i == 0
		for _, kind := range []string{catalog.ProtectedData, catalog.SecretData} {
			name := bytes.Repeat([]byte{byte(i + 1)}, 16)
			r[kind+"_name"] = name
			r[kind+"_data"] = s.sealed(ctx, catalog.DataPurpose(kind, fmt.Sprint(r["product_id"]), name), []byte(s.text(of(kind+"_data"), 0)))
		}
		delete(r, "minimum_version")
		r["access_list"] = "[]"
	case "containers":
		s.realContainer(w, i, r)
	case "tmr_groups":
		r["virtual_serial"] = "131" + strings.TrimPrefix(fmt.Sprint(r["virtual_serial"]), "130")
		s.canaries[fmt.Sprint(r["virtual_serial"])] = of("virtual_serial")
		r["next_tmr_id"] = 2
	case "organizations":
		r["pseudonym_key"] = s.sealed(ctx, core.PseudonymPurpose, make([]byte, 32))
	case "rollouts":
		state := rollout.New()
		if r["container_id"] != nil {
			state = rollout.NewSingle()
		}
		state.Phase = rollout.Phase(fmt.Sprint(r["state"]))
		r["machine"] = s.must(json.Marshal(state))
		r["firm"], r["running"], r["products"] = first("firms", "code"), state.Phase != rollout.Queued, "[]"
	case "works":
		r["payload"] = s.must(json.Marshal(tasks.LinkWork{Position: 1, Handle: s.text(of("payload"), 0)}))
		delete(r, "result")
	case "tickets":
		code := ticket.New()
		r["code_digest"], r["hint"] = code.Digest(ticket.Ticket), code.Hint()
		r["sealed_code"] = s.sealed(ctx, core.TicketPurpose, []byte(code))
		delete(r, "expires_at")
		s.keep(w, "ticket", string(code), of("code"))
	case "ticket_lines":
		r["position"], r["quantity"], r["activated"] = 1, 10, 1
	case "enrollments":
		code := ticket.New()
		r["code_digest"] = code.Digest(ticket.Enrollment)
		delete(r, "tmr_server_id")
		s.keep(w, "enrollment", string(code), of("code"))
	case "invitations":
		s.token(w, auth.InviteToken, "invitation", r, "token_digest", of)
		r["groups"] = "[]"
	case "api_tokens":
		s.token(w, auth.APIToken, "api token", r, "hash", of)
		r["scopes"] = "[]"
	case "tmr_servers":
		s.token(w, auth.LinkToken, "link token", r, "link_token_hash", of)
	case "webhook_endpoints":
		secret := webhook.NewSecret()
		r["sealed_secret"] = s.sealed(ctx, core.WebhookPurpose(fmt.Sprint(r["organization_id"])), secret)
		r["events"] = `["*"]`
		delete(r, "sealed_previous")
		s.keep(w, "webhook secret", secret.Text(), of("secret"))
	case "webhook_events":
		r["payload"] = []byte(`{"type": "order.created", "data": {"order": "` + s.text(of("payload"), 0) + `"}}`)
		r["kind"] = "order.created"
	case "identity_providers":
		delete(r, "sealed_secret")
		r["domains"] = "[]"
	case "users":
		for _, column := range []string{"totp_secret", "recovery_codes"} {
			delete(r, column)
		}
	case "rule_sets":
		r["text"] = fmt.Sprintf("allow user:%s\n", s.text(of("text"), 0))
		r["version"] = 1
	case "usage_logs":
		r["number"], r["hash"] = 1, make([]byte, len(usage.Hash{}))
	case "idempotency_keys":
		s.keep(w, "idempotency key", fmt.Sprint(r["key"]), of("key"))
	}
}

func (s *seeder) token(w *tenants, kind auth.TokenKind, name string, r row, column string, of func(string) canary) {
	s.t.Helper()
	secret, digest, err := auth.NewToken(kind)
	if err != nil {
		s.t.Fatal(err)
	}
	r[column] = digest
	s.keep(w, name, secret, of("secret"))
}

// realContainer: the first container is the first backend of the first TMR
// group, the second one stands alone; those that follow make the groups whole.
func (s *seeder) realContainer(w *tenants, i int, r row) {
	s.t.Helper()
	for _, column := range []string{"replaced_by_id", "tmr_group_id", "position", "block_reason", "suspect_reason", "suspect_fingerprint", "trail_value"} {
		delete(r, column)
	}
	r["kind"], r["served"], r["meters"] = string(property.ContainerUniversal), "[]", "[]"
	id, err := seal.NewIdentity()
	if err != nil {
		s.t.Fatal(err)
	}
	s.keys.identities[r.id()] = id
	r["sign_key"], r["seal_key"] = []byte(id.Public().Sign), id.Public().Seal
	at := i
	if i > 0 {
		at = i - 1
	}
	if i == 1 {
		return
	}
	group := w.rows["tmr_groups"][at/4]
	r["tmr_group_id"], r["position"] = group.id(), at%4+1
	if at%4 == 3 {
		delete(r, "position")
		r["kind"], r["serial"] = string(property.ContainerVirtual), group["virtual_serial"]
		for _, column := range []string{"sign_key", "seal_key", "activation_id"} {
			delete(r, column)
		}
	}
}

// containersOf is how many containers make all TMR groups whole, and the one
// that stands alone.
const containersOf = rowsPerTable*(license.Backends+1) + 1

// request is the request file of a container, as its license server writes it.
func (s *seeder) request(t row) string {
	s.t.Helper()
	serial, err := license.ParseSerial(fmt.Sprint(t["serial"]))
	if err != nil {
		s.t.Fatal(err)
	}
	f := seal.Fingerprint{Serial: serial, Root: s.keys.root.Public(), At: time.Now()}
	copy(f.ActivationID[:], t["activation_id"].([]byte))
	signed, err := seal.SignFingerprint(s.keys.identities[t.id()], f)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{signed}})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
