package cli

// DatabaseFlags say where the platform keeps what.
type DatabaseFlags struct {
	Database  string `help:"An SQLite file, or postgres://…" default:"quorate.db" env:"QUORATE_DATABASE"`
	MasterKey string `help:"File with the key that seals all private keys; created when it is not there. Keep a copy: without it no update can be signed." default:"master.key" env:"QUORATE_MASTER_KEY_FILE"`
	// The key itself, for platforms that hand secrets over by environment.
	MasterKeyValue string `name:"master-key-value" hidden:"" env:"QUORATE_MASTER_KEY"`
	Redis          string `help:"redis://HOST:PORT/N, for several replicas: carries news between them, and counts what callers do." env:"QUORATE_REDIS"`
}
