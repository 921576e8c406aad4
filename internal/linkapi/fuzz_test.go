package linkapi

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/views"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// FuzzMessages gives the readers of what servers send anything that is a message
// by its form: they never panic, refuse with a code, and hand on no more than one
// group can have.
func FuzzMessages(f *testing.F) {
	for _, m := range []proto.Message{
		&quoratev1.ReportRequest{WorkId: "w", Fingerprints: []*quoratev1.BackendBytes{{Position: 1, Data: []byte("f")}}, Receipt: []byte("r")},
		&quoratev1.ReportRequest{WorkId: "w", Error: &quoratev1.ErrorInfo{Code: "BACKEND_ABSENT", Message: "m"}},
		&quoratev1.CertifyRequest{Questions: []*quoratev1.TimeQuestion{{Serial: "130-1", Nonce: make([]byte, 16), ClockMs: 1, SetBack: true}}},
		&quoratev1.PushRequest{
			Leading: true, Epoch: 3, Events: []*quoratev1.LeaseEvent{{Position: 5, Kind: "GRANTED", AtMs: 1, Product: &quoratev1.Product{Firm: 6000010, Code: 14}, Licenses: 4, Rule: "cap 3", Seq: 77}},
			Views:    []*quoratev1.GroupView{{Version: 1, Backends: []string{"PRESENT", "ABSENT", "PRESENT"}}},
			Health:   []*quoratev1.BackendHealth{{Position: 2, Serial: "130-1", Presence: "PRESENT", SeenMs: -1}},
			Served:   &quoratev1.ServedLicenses{Licenses: []*quoratev1.ServedLicense{{Product: &quoratev1.Product{Firm: 6000010, Code: 14}, Name: "Chart", Quantity: 20}}},
			Activity: []*quoratev1.HandleActivity{{Handle: "h", Accesses: 1, LastAccessMs: 5, IdleMs: -1, ExpiresMs: 1 << 62}},
		},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		taken := func(err error) bool {
			if license.CodeOf(err) == license.CodeInternal {
				t.Fatalf("an error without a code: %v", err)
			}
			return err == nil
		}
		if m := new(quoratev1.ReportRequest); proto.Unmarshal(b, m) == nil {
			r, err := reportFrom(m)
			if taken(err) && (r.WorkID == "" || len(r.Fingerprints) > license.Backends || len(r.Statements) > license.Backends || len(r.Receipt) > mostSigned) {
				t.Fatalf("a report hands on %+v", r)
			}
		}
		if m := new(quoratev1.CertifyRequest); proto.Unmarshal(b, m) == nil {
			q, err := questionsFrom(m.GetQuestions())
			if taken(err) && len(q) > license.Backends {
				t.Fatalf("%d questions", len(q))
			}
		}
		if m := new(quoratev1.PushRequest); proto.Unmarshal(b, m) == nil {
			p, err := pushFrom(m)
			if taken(err) && (len(p.Views) > views.MostViews || len(p.Events) > history.MostLeaseEvents || len(p.Health) > license.Backends || len(p.Served) > links.MostServed || len(p.Activity) > history.MostActivity) {
				t.Fatalf("a push hands on %d views, %d events, %d backends and %d licenses", len(p.Views), len(p.Events), len(p.Health), len(p.Served))
			}
		}
	})
}
