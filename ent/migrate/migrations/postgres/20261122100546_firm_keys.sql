-- Create "firm_keys" table
CREATE TABLE "firm_keys" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "serial" bigint NOT NULL, "public_key" bytea NOT NULL, "rotation" bytea NULL, "retired_at" timestamptz NULL, "firm_id" character varying NOT NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "firm_keys_firms_keys" FOREIGN KEY ("firm_id") REFERENCES "firms" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "firm_keys_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "firm_keys_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "firmkey_customer_id_id" to table: "firm_keys"
CREATE INDEX "firmkey_customer_id_id" ON "firm_keys" ("customer_id", "id");
-- Create index "firmkey_firm_id_serial" to table: "firm_keys"
CREATE UNIQUE INDEX "firmkey_firm_id_serial" ON "firm_keys" ("firm_id", "serial");
-- Create index "firmkey_vendor_id_id" to table: "firm_keys"
CREATE INDEX "firmkey_vendor_id_id" ON "firm_keys" ("vendor_id", "id");
-- The keys of the firms that are there: each is its firm's first
INSERT INTO "firm_keys" ("id", "created_at", "serial", "public_key", "firm_id", "vendor_id", "customer_id") SELECT 'fky_' || substr("id", 5), "created_at", 1, "public_key", "id", "vendor_id", "customer_id" FROM "firms";
