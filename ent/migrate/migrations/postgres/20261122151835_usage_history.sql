-- Modify "allocations" table
ALTER TABLE "allocations" ADD COLUMN "asked" bigint NOT NULL DEFAULT 1, ADD COLUMN "borrowed" boolean NOT NULL DEFAULT false, ADD COLUMN "removal_at" timestamptz NULL, ADD COLUMN "removal_by" character varying NULL, ADD COLUMN "removal_code" character varying NULL, ADD COLUMN "removal_message" character varying NULL;
-- Create index "allocation_container_id_product_id_ended_at" to table: "allocations"
CREATE INDEX "allocation_container_id_product_id_ended_at" ON "allocations" ("container_id", "product_id", "ended_at");
-- Create index "allocation_container_id_product_id_state_station" to table: "allocations"
CREATE INDEX "allocation_container_id_product_id_state_station" ON "allocations" ("container_id", "product_id", "state", "station");
-- Create index "allocation_container_id_product_id_state_user" to table: "allocations"
CREATE INDEX "allocation_container_id_product_id_state_user" ON "allocations" ("container_id", "product_id", "state", "user");
-- Create index "allocation_ended_at" to table: "allocations"
CREATE INDEX "allocation_ended_at" ON "allocations" ("ended_at");
-- Modify "denials" table
ALTER TABLE "denials" ADD COLUMN "station" character varying NOT NULL DEFAULT '', ADD COLUMN "mode" character varying NOT NULL DEFAULT 'USER_LIMIT', ADD COLUMN "licenses" bigint NOT NULL DEFAULT 1, ADD COLUMN "rule" character varying NOT NULL DEFAULT '';
-- Create index "denial_at" to table: "denials"
CREATE INDEX "denial_at" ON "denials" ("at");
-- Create "usage_series" table
CREATE TABLE "usage_series" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "since" timestamptz NOT NULL, "at" timestamptz NOT NULL, "taken" bigint NOT NULL DEFAULT 0, "quantity" bigint NOT NULL DEFAULT 0, "users" bigint NOT NULL DEFAULT 0, "stations" bigint NOT NULL DEFAULT 0, "changes" jsonb NULL, "granted" bigint NOT NULL DEFAULT 0, "released" bigint NOT NULL DEFAULT 0, "expired" bigint NOT NULL DEFAULT 0, "removed" bigint NOT NULL DEFAULT 0, "denied" bigint NOT NULL DEFAULT 0, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "container_id" character varying NOT NULL, "product_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "usage_series_containers_container" FOREIGN KEY ("container_id") REFERENCES "containers" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "usage_series_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "usage_series_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "usage_series_products_product" FOREIGN KEY ("product_id") REFERENCES "products" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "usageseries_container_id_product_id" to table: "usage_series"
CREATE UNIQUE INDEX "usageseries_container_id_product_id" ON "usage_series" ("container_id", "product_id");
-- Create index "usageseries_customer_id_id" to table: "usage_series"
CREATE INDEX "usageseries_customer_id_id" ON "usage_series" ("customer_id", "id");
-- Create index "usageseries_vendor_id_id" to table: "usage_series"
CREATE INDEX "usageseries_vendor_id_id" ON "usage_series" ("vendor_id", "id");
-- Create "usage_buckets" table
CREATE TABLE "usage_buckets" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "seconds" bigint NOT NULL, "start" timestamptz NOT NULL, "until" timestamptz NOT NULL, "open_taken" bigint NOT NULL, "open_quantity" bigint NOT NULL, "open_users" bigint NOT NULL, "open_stations" bigint NOT NULL, "taken" bigint NOT NULL, "quantity" bigint NOT NULL, "users" bigint NOT NULL, "stations" bigint NOT NULL, "most_taken" bigint NOT NULL, "most_quantity" bigint NOT NULL, "taken_ms" bigint NOT NULL, "full_ms" bigint NOT NULL, "distinct_users" bigint NOT NULL, "distinct_stations" bigint NOT NULL, "granted" bigint NOT NULL, "released" bigint NOT NULL, "expired" bigint NOT NULL, "removed" bigint NOT NULL, "denied" bigint NOT NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "series_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "usage_buckets_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "usage_buckets_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "usage_buckets_usage_series_buckets" FOREIGN KEY ("series_id") REFERENCES "usage_series" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "usagebucket_customer_id_id" to table: "usage_buckets"
CREATE INDEX "usagebucket_customer_id_id" ON "usage_buckets" ("customer_id", "id");
-- Create index "usagebucket_seconds_start" to table: "usage_buckets"
CREATE INDEX "usagebucket_seconds_start" ON "usage_buckets" ("seconds", "start");
-- Create index "usagebucket_series_id_seconds_start" to table: "usage_buckets"
CREATE UNIQUE INDEX "usagebucket_series_id_seconds_start" ON "usage_buckets" ("series_id", "seconds", "start");
-- Create index "usagebucket_vendor_id_id" to table: "usage_buckets"
CREATE INDEX "usagebucket_vendor_id_id" ON "usage_buckets" ("vendor_id", "id");
-- Create "usage_logs" table
CREATE TABLE "usage_logs" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "number" bigint NOT NULL DEFAULT 0, "hash" bytea NOT NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "firm_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "usage_logs_firms_firm" FOREIGN KEY ("firm_id") REFERENCES "firms" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "usage_logs_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "usage_logs_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "usagelog_customer_id_id" to table: "usage_logs"
CREATE INDEX "usagelog_customer_id_id" ON "usage_logs" ("customer_id", "id");
-- Create index "usagelog_vendor_id_id" to table: "usage_logs"
CREATE INDEX "usagelog_vendor_id_id" ON "usage_logs" ("vendor_id", "id");
-- Create "usage_entries" table
CREATE TABLE "usage_entries" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "number" bigint NOT NULL, "hash" bytea NOT NULL, "line" character varying NOT NULL, "source" character varying NOT NULL, "seq" bigint NOT NULL, "missing" bigint NOT NULL DEFAULT 0, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "log_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "usage_entries_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "usage_entries_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "usage_entries_usage_logs_entries" FOREIGN KEY ("log_id") REFERENCES "usage_logs" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "usageentry_customer_id_id" to table: "usage_entries"
CREATE INDEX "usageentry_customer_id_id" ON "usage_entries" ("customer_id", "id");
-- Create index "usageentry_log_id_missing_number" to table: "usage_entries"
CREATE INDEX "usageentry_log_id_missing_number" ON "usage_entries" ("log_id", "missing", "number");
-- Create index "usageentry_log_id_number" to table: "usage_entries"
CREATE UNIQUE INDEX "usageentry_log_id_number" ON "usage_entries" ("log_id", "number");
-- Create index "usageentry_log_id_source_number" to table: "usage_entries"
CREATE INDEX "usageentry_log_id_source_number" ON "usage_entries" ("log_id", "source", "number");
-- Create index "usageentry_vendor_id_id" to table: "usage_entries"
CREATE INDEX "usageentry_vendor_id_id" ON "usage_entries" ("vendor_id", "id");
