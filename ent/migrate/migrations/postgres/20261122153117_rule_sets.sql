-- Modify "tmr_servers" table
ALTER TABLE "tmr_servers" ADD COLUMN "rules_digest" character varying NOT NULL DEFAULT '', ADD COLUMN "rules_own" boolean NOT NULL DEFAULT false, ADD COLUMN "rules_problem" character varying NOT NULL DEFAULT '';
-- Create "rule_sets" table
CREATE TABLE "rule_sets" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "version" bigint NOT NULL, "text" character varying NOT NULL, "digest" character varying NOT NULL, "saved_by" character varying NOT NULL, "container_id" character varying NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "tmr_group_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "rule_sets_containers_rule_sets" FOREIGN KEY ("container_id") REFERENCES "containers" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "rule_sets_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "rule_sets_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "rule_sets_tmr_groups_rule_sets" FOREIGN KEY ("tmr_group_id") REFERENCES "tmr_groups" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "one_place" CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Create index "ruleset_container_id_version" to table: "rule_sets"
CREATE UNIQUE INDEX "ruleset_container_id_version" ON "rule_sets" ("container_id", "version");
-- Create index "ruleset_customer_id_id" to table: "rule_sets"
CREATE INDEX "ruleset_customer_id_id" ON "rule_sets" ("customer_id", "id");
-- Create index "ruleset_tmr_group_id_version" to table: "rule_sets"
CREATE UNIQUE INDEX "ruleset_tmr_group_id_version" ON "rule_sets" ("tmr_group_id", "version");
-- Create index "ruleset_vendor_id_id" to table: "rule_sets"
CREATE INDEX "ruleset_vendor_id_id" ON "rule_sets" ("vendor_id", "id");
