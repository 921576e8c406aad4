-- Modify "firms" table
ALTER TABLE "firms" ADD COLUMN "revision" bigint NOT NULL DEFAULT 1;
-- Modify "api_tokens" table
ALTER TABLE "api_tokens" ADD COLUMN "scopes" jsonb NULL, ADD COLUMN "hint" character varying NOT NULL DEFAULT '', ADD COLUMN "created_by" character varying NOT NULL DEFAULT '', ADD COLUMN "expires_at" timestamptz NULL, ADD COLUMN "revoked_at" timestamptz NULL;
-- Modify "products" table
ALTER TABLE "products" ADD COLUMN "revision" bigint NOT NULL DEFAULT 1;
-- Modify "sessions" table
ALTER TABLE "sessions" ADD COLUMN "user_id" character varying NULL, ADD COLUMN "created_at" timestamptz NULL, ADD COLUMN "seen_at" timestamptz NULL, ADD COLUMN "agent" character varying NOT NULL DEFAULT '', ADD COLUMN "address" character varying NOT NULL DEFAULT '';
-- Create index "session_user_id" to table: "sessions"
CREATE INDEX "session_user_id" ON "sessions" ("user_id");
-- Modify "organizations" table
ALTER TABLE "organizations" ADD COLUMN "environment" character varying NOT NULL DEFAULT 'LIVE', ADD COLUMN "user_visibility" character varying NOT NULL DEFAULT 'ALL', ADD COLUMN "pseudonym_key" bytea NULL, ADD COLUMN "revision" bigint NOT NULL DEFAULT 1, ADD COLUMN "live_id" character varying NULL, ADD CONSTRAINT "organizations_organizations_test" FOREIGN KEY ("live_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL;
-- Create index "organizations_live_id_key" to table: "organizations"
CREATE UNIQUE INDEX "organizations_live_id_key" ON "organizations" ("live_id");
-- Modify "tmr_servers" table
ALTER TABLE "tmr_servers" ADD COLUMN "version" character varying NOT NULL DEFAULT '', ADD COLUMN "started_at" timestamptz NULL, ADD COLUMN "linked_at" timestamptz NULL, ADD COLUMN "lost_at" timestamptz NULL, ADD COLUMN "latency" bigint NULL, ADD COLUMN "links" bigint NOT NULL DEFAULT 0, ADD COLUMN "revoked_at" timestamptz NULL, ADD COLUMN "revision" bigint NOT NULL DEFAULT 1;
-- Create "enrollments" table
CREATE TABLE "enrollments" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "name" character varying NOT NULL, "code_digest" bytea NOT NULL, "created_by" character varying NOT NULL, "expires_at" timestamptz NOT NULL, "used_at" timestamptz NULL, "revoked_at" timestamptz NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "tmr_group_id" character varying NULL, "container_id" character varying NULL, "tmr_server_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "enrollments_containers_container" FOREIGN KEY ("container_id") REFERENCES "containers" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "enrollments_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "enrollments_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "enrollments_tmr_groups_tmr_group" FOREIGN KEY ("tmr_group_id") REFERENCES "tmr_groups" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "enrollments_tmr_servers_tmr_server" FOREIGN KEY ("tmr_server_id") REFERENCES "tmr_servers" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "one_place" CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Create index "enrollment_customer_id_id" to table: "enrollments"
CREATE INDEX "enrollment_customer_id_id" ON "enrollments" ("customer_id", "id");
-- Create index "enrollment_vendor_id_id" to table: "enrollments"
CREATE INDEX "enrollment_vendor_id_id" ON "enrollments" ("vendor_id", "id");
-- Create index "enrollments_code_digest_key" to table: "enrollments"
CREATE UNIQUE INDEX "enrollments_code_digest_key" ON "enrollments" ("code_digest");
-- Create "idempotency_keys" table
CREATE TABLE "idempotency_keys" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "operation" character varying NOT NULL, "key" character varying NOT NULL, "digest" bytea NOT NULL, "result" character varying NOT NULL, "organization_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "idempotency_keys_organizations_organization" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "idempotencykey_created_at" to table: "idempotency_keys"
CREATE INDEX "idempotencykey_created_at" ON "idempotency_keys" ("created_at");
-- Create index "idempotencykey_organization_id_id" to table: "idempotency_keys"
CREATE INDEX "idempotencykey_organization_id_id" ON "idempotency_keys" ("organization_id", "id");
-- Create index "idempotencykey_organization_id_operation_key" to table: "idempotency_keys"
CREATE UNIQUE INDEX "idempotencykey_organization_id_operation_key" ON "idempotency_keys" ("organization_id", "operation", "key");
-- Create "identity_providers" table
CREATE TABLE "identity_providers" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "name" character varying NOT NULL, "issuer" character varying NOT NULL, "client_id" character varying NOT NULL, "sealed_secret" bytea NULL, "domains" jsonb NULL, "join_role" character varying NULL, "enforced" boolean NOT NULL DEFAULT false, "revision" bigint NOT NULL DEFAULT 1, "organization_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "identity_providers_organizations_organization" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "identityprovider_organization_id_id" to table: "identity_providers"
CREATE INDEX "identityprovider_organization_id_id" ON "identity_providers" ("organization_id", "id");
-- Create index "identityprovider_organization_id_name" to table: "identity_providers"
CREATE UNIQUE INDEX "identityprovider_organization_id_name" ON "identity_providers" ("organization_id", "name");
-- Create "invitations" table
CREATE TABLE "invitations" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "email" character varying NOT NULL, "name" character varying NOT NULL, "role" character varying NOT NULL, "groups" jsonb NULL, "token_digest" bytea NOT NULL, "invited_by" character varying NOT NULL, "expires_at" timestamptz NOT NULL, "accepted_at" timestamptz NULL, "revoked_at" timestamptz NULL, "organization_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "invitations_organizations_organization" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "invitation_organization_id_id" to table: "invitations"
CREATE INDEX "invitation_organization_id_id" ON "invitations" ("organization_id", "id");
-- Create index "invitations_token_digest_key" to table: "invitations"
CREATE UNIQUE INDEX "invitations_token_digest_key" ON "invitations" ("token_digest");
-- Create "item_versions" table
CREATE TABLE "item_versions" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "revision" bigint NOT NULL, "terms" jsonb NOT NULL, "changed_by" character varying NOT NULL, "item_id" character varying NOT NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "item_versions_items_versions" FOREIGN KEY ("item_id") REFERENCES "items" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "item_versions_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "item_versions_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "itemversion_customer_id_id" to table: "item_versions"
CREATE INDEX "itemversion_customer_id_id" ON "item_versions" ("customer_id", "id");
-- Create index "itemversion_item_id_revision" to table: "item_versions"
CREATE UNIQUE INDEX "itemversion_item_id_revision" ON "item_versions" ("item_id", "revision");
-- Create index "itemversion_vendor_id_id" to table: "item_versions"
CREATE INDEX "itemversion_vendor_id_id" ON "item_versions" ("vendor_id", "id");
-- Create "member_groups" table
CREATE TABLE "member_groups" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "name" character varying NOT NULL, "role" character varying NOT NULL, "revision" bigint NOT NULL DEFAULT 1, "organization_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "member_groups_organizations_organization" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "membergroup_organization_id_id" to table: "member_groups"
CREATE INDEX "membergroup_organization_id_id" ON "member_groups" ("organization_id", "id");
-- Create index "membergroup_organization_id_name" to table: "member_groups"
CREATE UNIQUE INDEX "membergroup_organization_id_name" ON "member_groups" ("organization_id", "name");
-- Create "users" table
CREATE TABLE "users" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "email" character varying NOT NULL, "name" character varying NOT NULL, "password_hash" character varying NULL, "totp_secret" bytea NULL, "totp_at" timestamptz NULL, "totp_step" bigint NOT NULL DEFAULT 0, "recovery" jsonb NULL, "password_at" timestamptz NULL, PRIMARY KEY ("id"));
-- Create index "users_email_key" to table: "users"
CREATE UNIQUE INDEX "users_email_key" ON "users" ("email");
-- Whoever signed in as a member is a user of the same number from now on
INSERT INTO "users" ("id", "created_at", "email", "name", "password_hash") SELECT 'usr_' || substr("id", 5), "created_at", "email", "name", "password_hash" FROM "members";
-- Drop index "members_email_key" from table: "members"
DROP INDEX "members_email_key";
-- Modify "members" table
ALTER TABLE "members" DROP COLUMN "password_hash", ADD COLUMN "revision" bigint NOT NULL DEFAULT 1, ADD COLUMN "user_id" character varying NULL, ADD CONSTRAINT "members_users_members" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE SET NULL;
-- Each member is its user's
UPDATE "members" SET "user_id" = 'usr_' || substr("id", 5);
-- Create index "member_organization_id_email" to table: "members"
CREATE UNIQUE INDEX "member_organization_id_email" ON "members" ("organization_id", "email");
-- Create index "member_organization_id_user_id" to table: "members"
CREATE UNIQUE INDEX "member_organization_id_user_id" ON "members" ("organization_id", "user_id");
-- Create "member_group_entries" table
CREATE TABLE "member_group_entries" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "member_id" character varying NOT NULL, "member_group_id" character varying NOT NULL, "organization_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "member_group_entries_member_groups_entries" FOREIGN KEY ("member_group_id") REFERENCES "member_groups" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "member_group_entries_members_memberships" FOREIGN KEY ("member_id") REFERENCES "members" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "member_group_entries_organizations_organization" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "membergroupentry_member_group_id_member_id" to table: "member_group_entries"
CREATE UNIQUE INDEX "membergroupentry_member_group_id_member_id" ON "member_group_entries" ("member_group_id", "member_id");
-- Create index "membergroupentry_member_id" to table: "member_group_entries"
CREATE INDEX "membergroupentry_member_id" ON "member_group_entries" ("member_id");
-- Create index "membergroupentry_organization_id_id" to table: "member_group_entries"
CREATE INDEX "membergroupentry_organization_id_id" ON "member_group_entries" ("organization_id", "id");
-- Create "rollout_plans" table
CREATE TABLE "rollout_plans" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "name" character varying NOT NULL, "state" character varying NOT NULL DEFAULT 'SCHEDULED', "not_before" timestamptz NULL, "window" jsonb NULL, "at_once" bigint NOT NULL DEFAULT 1, "stop_after" bigint NOT NULL DEFAULT 0, "stop_reason" character varying NOT NULL DEFAULT '', "started_by" character varying NOT NULL, "finished_at" timestamptz NULL, "revision" bigint NOT NULL DEFAULT 1, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "rollout_plans_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "rollout_plans_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "rolloutplan_customer_id_id" to table: "rollout_plans"
CREATE INDEX "rolloutplan_customer_id_id" ON "rollout_plans" ("customer_id", "id");
-- Create index "rolloutplan_vendor_id_id" to table: "rollout_plans"
CREATE INDEX "rolloutplan_vendor_id_id" ON "rollout_plans" ("vendor_id", "id");
-- Modify "rollouts" table
ALTER TABLE "rollouts" ADD COLUMN "paused_at" timestamptz NULL, ADD COLUMN "paused_by" character varying NOT NULL DEFAULT '', ADD COLUMN "not_before" timestamptz NULL, ADD COLUMN "not_after" timestamptz NULL;
-- Create "rollout_plan_entries" table
CREATE TABLE "rollout_plan_entries" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "wave" bigint NOT NULL, "state" character varying NOT NULL DEFAULT 'WAITING', "note" character varying NOT NULL DEFAULT '', "rollout_plan_id" character varying NOT NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "tmr_group_id" character varying NULL, "container_id" character varying NULL, "rollout_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "rollout_plan_entries_containers_container" FOREIGN KEY ("container_id") REFERENCES "containers" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "rollout_plan_entries_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "rollout_plan_entries_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "rollout_plan_entries_rollout_plans_entries" FOREIGN KEY ("rollout_plan_id") REFERENCES "rollout_plans" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "rollout_plan_entries_rollouts_rollout" FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "rollout_plan_entries_tmr_groups_tmr_group" FOREIGN KEY ("tmr_group_id") REFERENCES "tmr_groups" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "one_place" CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Create index "rolloutplanentry_customer_id_id" to table: "rollout_plan_entries"
CREATE INDEX "rolloutplanentry_customer_id_id" ON "rollout_plan_entries" ("customer_id", "id");
-- Create index "rolloutplanentry_rollout_id" to table: "rollout_plan_entries"
CREATE INDEX "rolloutplanentry_rollout_id" ON "rollout_plan_entries" ("rollout_id");
-- Create index "rolloutplanentry_rollout_plan_id_wave" to table: "rollout_plan_entries"
CREATE INDEX "rolloutplanentry_rollout_plan_id_wave" ON "rollout_plan_entries" ("rollout_plan_id", "wave");
-- Create index "rolloutplanentry_vendor_id_id" to table: "rollout_plan_entries"
CREATE INDEX "rolloutplanentry_vendor_id_id" ON "rollout_plan_entries" ("vendor_id", "id");
-- Create "tickets" table
CREATE TABLE "tickets" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "code_digest" bytea NOT NULL, "sealed_code" bytea NOT NULL, "hint" character varying NOT NULL, "reference" character varying NOT NULL DEFAULT '', "note" character varying NOT NULL DEFAULT '', "partial" boolean NOT NULL DEFAULT true, "return_limit" bigint NULL, "returns" bigint NOT NULL DEFAULT 0, "expires_at" timestamptz NULL, "revoked_at" timestamptz NULL, "revoke_reason" character varying NOT NULL DEFAULT '', "created_by" character varying NOT NULL, "revision" bigint NOT NULL DEFAULT 1, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "tickets_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "tickets_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "ticket_customer_id_id" to table: "tickets"
CREATE INDEX "ticket_customer_id_id" ON "tickets" ("customer_id", "id");
-- Create index "ticket_vendor_id_id" to table: "tickets"
CREATE INDEX "ticket_vendor_id_id" ON "tickets" ("vendor_id", "id");
-- Create index "ticket_vendor_id_reference" to table: "tickets"
CREATE INDEX "ticket_vendor_id_reference" ON "tickets" ("vendor_id", "reference");
-- Create index "tickets_code_digest_key" to table: "tickets"
CREATE UNIQUE INDEX "tickets_code_digest_key" ON "tickets" ("code_digest");
-- Create "ticket_lines" table
CREATE TABLE "ticket_lines" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "position" bigint NOT NULL, "quantity" bigint NOT NULL, "activated" bigint NOT NULL DEFAULT 0, "ticket_id" character varying NOT NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "item_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "ticket_lines_items_item" FOREIGN KEY ("item_id") REFERENCES "items" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "ticket_lines_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "ticket_lines_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "ticket_lines_tickets_lines" FOREIGN KEY ("ticket_id") REFERENCES "tickets" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "ticketline_customer_id_id" to table: "ticket_lines"
CREATE INDEX "ticketline_customer_id_id" ON "ticket_lines" ("customer_id", "id");
-- Create index "ticketline_ticket_id_position" to table: "ticket_lines"
CREATE UNIQUE INDEX "ticketline_ticket_id_position" ON "ticket_lines" ("ticket_id", "position");
-- Create index "ticketline_vendor_id_id" to table: "ticket_lines"
CREATE INDEX "ticketline_vendor_id_id" ON "ticket_lines" ("vendor_id", "id");
-- Create "ticket_activations" table
CREATE TABLE "ticket_activations" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "quantity" bigint NOT NULL, "returned" bigint NOT NULL DEFAULT 0, "offline" boolean NOT NULL DEFAULT false, "activated_by" character varying NOT NULL, "ticket_id" character varying NOT NULL, "vendor_id" character varying NOT NULL, "customer_id" character varying NULL, "tmr_group_id" character varying NULL, "container_id" character varying NULL, "order_id" character varying NOT NULL, "ticket_line_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "ticket_activations_containers_container" FOREIGN KEY ("container_id") REFERENCES "containers" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "ticket_activations_orders_order" FOREIGN KEY ("order_id") REFERENCES "orders" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "ticket_activations_organizations_customer" FOREIGN KEY ("customer_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "ticket_activations_organizations_vendor" FOREIGN KEY ("vendor_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "ticket_activations_ticket_lines_activations" FOREIGN KEY ("ticket_line_id") REFERENCES "ticket_lines" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "ticket_activations_tickets_activations" FOREIGN KEY ("ticket_id") REFERENCES "tickets" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "ticket_activations_tmr_groups_tmr_group" FOREIGN KEY ("tmr_group_id") REFERENCES "tmr_groups" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "one_place" CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Create index "ticketactivation_container_id" to table: "ticket_activations"
CREATE INDEX "ticketactivation_container_id" ON "ticket_activations" ("container_id");
-- Create index "ticketactivation_customer_id_id" to table: "ticket_activations"
CREATE INDEX "ticketactivation_customer_id_id" ON "ticket_activations" ("customer_id", "id");
-- Create index "ticketactivation_order_id" to table: "ticket_activations"
CREATE UNIQUE INDEX "ticketactivation_order_id" ON "ticket_activations" ("order_id");
-- Create index "ticketactivation_ticket_id" to table: "ticket_activations"
CREATE INDEX "ticketactivation_ticket_id" ON "ticket_activations" ("ticket_id");
-- Create index "ticketactivation_tmr_group_id" to table: "ticket_activations"
CREATE INDEX "ticketactivation_tmr_group_id" ON "ticket_activations" ("tmr_group_id");
-- Create index "ticketactivation_vendor_id_id" to table: "ticket_activations"
CREATE INDEX "ticketactivation_vendor_id_id" ON "ticket_activations" ("vendor_id", "id");
-- Modify "transfers" table
ALTER TABLE "transfers" ADD COLUMN "ticket_activation_id" character varying NULL, ADD CONSTRAINT "transfers_ticket_activations_transfers" FOREIGN KEY ("ticket_activation_id") REFERENCES "ticket_activations" ("id") ON UPDATE NO ACTION ON DELETE SET NULL;
-- Create "user_identities" table
CREATE TABLE "user_identities" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "issuer" character varying NOT NULL, "subject" character varying NOT NULL, "provider_id" character varying NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "user_identities_identity_providers_identities" FOREIGN KEY ("provider_id") REFERENCES "identity_providers" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "user_identities_users_identities" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "useridentity_provider_id_issuer_subject" to table: "user_identities"
CREATE UNIQUE INDEX "useridentity_provider_id_issuer_subject" ON "user_identities" ("provider_id", "issuer", "subject");
-- Create "webhook_endpoints" table
CREATE TABLE "webhook_endpoints" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "url" character varying NOT NULL, "description" character varying NOT NULL DEFAULT '', "events" jsonb NOT NULL, "sealed_secret" bytea NOT NULL, "sealed_previous" bytea NULL, "previous_until" timestamptz NULL, "disabled_at" timestamptz NULL, "disabled_reason" character varying NOT NULL DEFAULT '', "failing_since" timestamptz NULL, "revision" bigint NOT NULL DEFAULT 1, "organization_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "webhook_endpoints_organizations_organization" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "webhookendpoint_organization_id_id" to table: "webhook_endpoints"
CREATE INDEX "webhookendpoint_organization_id_id" ON "webhook_endpoints" ("organization_id", "id");
-- Create "webhook_events" table
CREATE TABLE "webhook_events" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "kind" character varying NOT NULL, "payload" bytea NOT NULL, "organization_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "webhook_events_organizations_organization" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "webhookevent_created_at" to table: "webhook_events"
CREATE INDEX "webhookevent_created_at" ON "webhook_events" ("created_at");
-- Create index "webhookevent_organization_id_id" to table: "webhook_events"
CREATE INDEX "webhookevent_organization_id_id" ON "webhook_events" ("organization_id", "id");
-- Create "webhook_deliveries" table
CREATE TABLE "webhook_deliveries" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "state" character varying NOT NULL DEFAULT 'PENDING', "attempt" bigint NOT NULL DEFAULT 0, "due_at" timestamptz NULL, "attempts" jsonb NULL, "replay" boolean NOT NULL DEFAULT false, "organization_id" character varying NOT NULL, "webhook_endpoint_id" character varying NOT NULL, "webhook_event_id" character varying NOT NULL, PRIMARY KEY ("id"), CONSTRAINT "webhook_deliveries_organizations_organization" FOREIGN KEY ("organization_id") REFERENCES "organizations" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "webhook_deliveries_webhook_endpoints_deliveries" FOREIGN KEY ("webhook_endpoint_id") REFERENCES "webhook_endpoints" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "webhook_deliveries_webhook_events_deliveries" FOREIGN KEY ("webhook_event_id") REFERENCES "webhook_events" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- Create index "webhookdelivery_organization_id_id" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_organization_id_id" ON "webhook_deliveries" ("organization_id", "id");
-- Create index "webhookdelivery_state_due_at" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_state_due_at" ON "webhook_deliveries" ("state", "due_at");
-- Create index "webhookdelivery_webhook_endpoint_id_id" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_webhook_endpoint_id_id" ON "webhook_deliveries" ("webhook_endpoint_id", "id");
-- Create index "webhookdelivery_webhook_event_id" to table: "webhook_deliveries"
CREATE INDEX "webhookdelivery_webhook_event_id" ON "webhook_deliveries" ("webhook_event_id");
