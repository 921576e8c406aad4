-- Create "usage_kepts" table
CREATE TABLE "usage_kepts" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "seconds" bigint NOT NULL, "since" timestamptz NOT NULL, PRIMARY KEY ("id"));
-- Create index "usage_kepts_seconds_key" to table: "usage_kepts"
CREATE UNIQUE INDEX "usage_kepts_seconds_key" ON "usage_kepts" ("seconds");
