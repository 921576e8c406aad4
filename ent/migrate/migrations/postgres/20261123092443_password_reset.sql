-- Modify "users" table
ALTER TABLE "users" ADD COLUMN "reset_digest" bytea NULL, ADD COLUMN "reset_until" timestamptz NULL, ADD COLUMN "reset_second" boolean NOT NULL DEFAULT false;
-- Create index "users_reset_digest_key" to table: "users"
CREATE UNIQUE INDEX "users_reset_digest_key" ON "users" ("reset_digest");
