package resolvers_test

import "github.com/quorate/quorate/internal/store"

// seedBoth makes the customer a vendor, too, with a customer "Dock".
func (w *world) seedBoth() {
	w.t.Helper()
	if _, _, err := w.platform.MakeVendor(w.system(), "Port"); err != nil {
		w.t.Fatal(err)
	}
	w.change("", "", func(tx *store.Tx) error {
		return tx.Organization.Create().SetID("org_dock").SetName("Dock").SetCustomer(true).SetProviderID("org_port").SetCreatedAt(w.now).Exec(w.system())
	})
}
