-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_api_tokens" table
CREATE TABLE `new_api_tokens` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `role` text NOT NULL, `scopes` json NULL, `hash` blob NOT NULL, `hint` text NOT NULL DEFAULT (''), `created_by` text NOT NULL DEFAULT (''), `expires_at` datetime NULL, `revoked_at` datetime NULL, `last_used_at` datetime NULL, `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `api_tokens_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Copy rows from old table "api_tokens" to new temporary table "new_api_tokens"
INSERT INTO `new_api_tokens` (`id`, `created_at`, `name`, `role`, `hash`, `last_used_at`, `organization_id`) SELECT `id`, `created_at`, `name`, `role`, `hash`, `last_used_at`, `organization_id` FROM `api_tokens`;
-- Drop "api_tokens" table after copying rows
DROP TABLE `api_tokens`;
-- Rename temporary table "new_api_tokens" to "api_tokens"
ALTER TABLE `new_api_tokens` RENAME TO `api_tokens`;
-- Create index "api_tokens_hash_key" to table: "api_tokens"
CREATE UNIQUE INDEX `api_tokens_hash_key` ON `api_tokens` (`hash`);
-- Create index "apitoken_organization_id_id" to table: "api_tokens"
CREATE INDEX `apitoken_organization_id_id` ON `api_tokens` (`organization_id`, `id`);
-- Create "users" table
CREATE TABLE `users` (`id` text NOT NULL, `created_at` datetime NOT NULL, `email` text NOT NULL, `name` text NOT NULL, `password_hash` text NULL, `totp_secret` blob NULL, `totp_at` datetime NULL, `totp_step` integer NOT NULL DEFAULT (0), `recovery` json NULL, `password_at` datetime NULL, PRIMARY KEY (`id`));
-- Create index "users_email_key" to table: "users"
CREATE UNIQUE INDEX `users_email_key` ON `users` (`email`);
-- Whoever signed in as a member is a user of the same number from now on
INSERT INTO `users` (`id`, `created_at`, `email`, `name`, `password_hash`) SELECT 'usr_' || substr(`id`, 5), `created_at`, `email`, `name`, `password_hash` FROM `members`;
-- Create "new_members" table
CREATE TABLE `new_members` (`id` text NOT NULL, `created_at` datetime NOT NULL, `email` text NOT NULL, `name` text NOT NULL, `role` text NOT NULL, `revision` integer NOT NULL DEFAULT (1), `organization_id` text NOT NULL, `user_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `members_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `members_users_members` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE SET NULL);
-- Copy rows from old table "members" to new temporary table "new_members"
INSERT INTO `new_members` (`id`, `created_at`, `email`, `name`, `role`, `organization_id`, `user_id`) SELECT `id`, `created_at`, `email`, `name`, `role`, `organization_id`, 'usr_' || substr(`id`, 5) FROM `members`;
-- Drop "members" table after copying rows
DROP TABLE `members`;
-- Rename temporary table "new_members" to "members"
ALTER TABLE `new_members` RENAME TO `members`;
-- Create index "member_organization_id_id" to table: "members"
CREATE INDEX `member_organization_id_id` ON `members` (`organization_id`, `id`);
-- Create index "member_organization_id_email" to table: "members"
CREATE UNIQUE INDEX `member_organization_id_email` ON `members` (`organization_id`, `email`);
-- Create index "member_organization_id_user_id" to table: "members"
CREATE UNIQUE INDEX `member_organization_id_user_id` ON `members` (`organization_id`, `user_id`);
-- Create "new_organizations" table
CREATE TABLE `new_organizations` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `vendor` bool NOT NULL DEFAULT (false), `customer` bool NOT NULL DEFAULT (false), `environment` text NOT NULL DEFAULT ('LIVE'), `user_visibility` text NOT NULL DEFAULT ('ALL'), `pseudonym_key` blob NULL, `revision` integer NOT NULL DEFAULT (1), `provider_id` text NULL, `live_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `organizations_organizations_customers` FOREIGN KEY (`provider_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `organizations_organizations_test` FOREIGN KEY (`live_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Copy rows from old table "organizations" to new temporary table "new_organizations"
INSERT INTO `new_organizations` (`id`, `created_at`, `name`, `vendor`, `customer`, `provider_id`) SELECT `id`, `created_at`, `name`, `vendor`, `customer`, `provider_id` FROM `organizations`;
-- Drop "organizations" table after copying rows
DROP TABLE `organizations`;
-- Rename temporary table "new_organizations" to "organizations"
ALTER TABLE `new_organizations` RENAME TO `organizations`;
-- Create index "organizations_live_id_key" to table: "organizations"
CREATE UNIQUE INDEX `organizations_live_id_key` ON `organizations` (`live_id`);
-- Create index "organization_provider_id_name" to table: "organizations"
CREATE UNIQUE INDEX `organization_provider_id_name` ON `organizations` (`provider_id`, `name`);
-- Create "new_products" table
CREATE TABLE `new_products` (`id` text NOT NULL, `created_at` datetime NOT NULL, `code` integer NOT NULL, `name` text NOT NULL, `sealed_key` blob NOT NULL, `public_key` blob NOT NULL, `revision` integer NOT NULL DEFAULT (1), `firm_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `products_firms_products` FOREIGN KEY (`firm_id`) REFERENCES `firms` (`id`) ON DELETE NO ACTION, CONSTRAINT `products_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `products_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Copy rows from old table "products" to new temporary table "new_products"
INSERT INTO `new_products` (`id`, `created_at`, `code`, `name`, `sealed_key`, `public_key`, `firm_id`, `vendor_id`, `customer_id`) SELECT `id`, `created_at`, `code`, `name`, `sealed_key`, `public_key`, `firm_id`, `vendor_id`, `customer_id` FROM `products`;
-- Drop "products" table after copying rows
DROP TABLE `products`;
-- Rename temporary table "new_products" to "products"
ALTER TABLE `new_products` RENAME TO `products`;
-- Create index "product_vendor_id_id" to table: "products"
CREATE INDEX `product_vendor_id_id` ON `products` (`vendor_id`, `id`);
-- Create index "product_customer_id_id" to table: "products"
CREATE INDEX `product_customer_id_id` ON `products` (`customer_id`, `id`);
-- Create index "product_firm_id_code" to table: "products"
CREATE UNIQUE INDEX `product_firm_id_code` ON `products` (`firm_id`, `code`);
-- Create "new_sessions" table
CREATE TABLE `new_sessions` (`id` text NOT NULL, `data` blob NOT NULL, `expires_at` datetime NOT NULL, `user_id` text NULL, `created_at` datetime NULL, `seen_at` datetime NULL, `agent` text NOT NULL DEFAULT (''), `address` text NOT NULL DEFAULT (''), PRIMARY KEY (`id`));
-- Copy rows from old table "sessions" to new temporary table "new_sessions"
INSERT INTO `new_sessions` (`id`, `data`, `expires_at`) SELECT `id`, `data`, `expires_at` FROM `sessions`;
-- Drop "sessions" table after copying rows
DROP TABLE `sessions`;
-- Rename temporary table "new_sessions" to "sessions"
ALTER TABLE `new_sessions` RENAME TO `sessions`;
-- Create index "session_expires_at" to table: "sessions"
CREATE INDEX `session_expires_at` ON `sessions` (`expires_at`);
-- Create index "session_user_id" to table: "sessions"
CREATE INDEX `session_user_id` ON `sessions` (`user_id`);
-- Create "new_firms" table
CREATE TABLE `new_firms` (`id` text NOT NULL, `created_at` datetime NOT NULL, `code` integer NOT NULL, `name` text NOT NULL, `sealed_key` blob NOT NULL, `public_key` blob NOT NULL, `cert` blob NOT NULL, `rehost_limit` integer NULL, `move_limit` integer NULL, `limit_days` integer NOT NULL DEFAULT (365), `revision` integer NOT NULL DEFAULT (1), `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `firms_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `firms_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Copy rows from old table "firms" to new temporary table "new_firms"
INSERT INTO `new_firms` (`id`, `created_at`, `code`, `name`, `sealed_key`, `public_key`, `cert`, `rehost_limit`, `move_limit`, `limit_days`, `vendor_id`, `customer_id`) SELECT `id`, `created_at`, `code`, `name`, `sealed_key`, `public_key`, `cert`, `rehost_limit`, `move_limit`, `limit_days`, `vendor_id`, `customer_id` FROM `firms`;
-- Drop "firms" table after copying rows
DROP TABLE `firms`;
-- Rename temporary table "new_firms" to "firms"
ALTER TABLE `new_firms` RENAME TO `firms`;
-- Create index "firms_code_key" to table: "firms"
CREATE UNIQUE INDEX `firms_code_key` ON `firms` (`code`);
-- Create index "firm_vendor_id_id" to table: "firms"
CREATE INDEX `firm_vendor_id_id` ON `firms` (`vendor_id`, `id`);
-- Create index "firm_customer_id_id" to table: "firms"
CREATE INDEX `firm_customer_id_id` ON `firms` (`customer_id`, `id`);
-- Create "new_rollouts" table
CREATE TABLE `new_rollouts` (`id` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `state` text NOT NULL, `running` bool NOT NULL DEFAULT (false), `machine` blob NULL, `steps` json NOT NULL, `epoch` integer NOT NULL DEFAULT (0), `sequence` integer NOT NULL DEFAULT (0), `tmr_id` integer NOT NULL DEFAULT (0), `quantity` integer NOT NULL DEFAULT (0), `firm` integer NOT NULL DEFAULT (0), `products` json NULL, `blocker` text NULL, `error_code` text NULL, `error_message` text NULL, `started_by` text NOT NULL, `finished_at` datetime NULL, `paused_at` datetime NULL, `paused_by` text NOT NULL DEFAULT (''), `not_before` datetime NULL, `not_after` datetime NULL, `idempotency_key` text NULL, `container_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `rollouts_containers_rollouts` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `rollouts_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `rollouts_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `rollouts_tmr_groups_rollouts` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "rollouts" to new temporary table "new_rollouts"
INSERT INTO `new_rollouts` (`id`, `created_at`, `number`, `state`, `running`, `machine`, `steps`, `epoch`, `sequence`, `tmr_id`, `quantity`, `firm`, `products`, `blocker`, `error_code`, `error_message`, `started_by`, `finished_at`, `idempotency_key`, `container_id`, `vendor_id`, `customer_id`, `tmr_group_id`) SELECT `id`, `created_at`, `number`, `state`, `running`, `machine`, `steps`, `epoch`, `sequence`, `tmr_id`, `quantity`, `firm`, `products`, `blocker`, `error_code`, `error_message`, `started_by`, `finished_at`, `idempotency_key`, `container_id`, `vendor_id`, `customer_id`, `tmr_group_id` FROM `rollouts`;
-- Drop "rollouts" table after copying rows
DROP TABLE `rollouts`;
-- Rename temporary table "new_rollouts" to "rollouts"
ALTER TABLE `new_rollouts` RENAME TO `rollouts`;
-- Create index "rollout_vendor_id_id" to table: "rollouts"
CREATE INDEX `rollout_vendor_id_id` ON `rollouts` (`vendor_id`, `id`);
-- Create index "rollout_customer_id_id" to table: "rollouts"
CREATE INDEX `rollout_customer_id_id` ON `rollouts` (`customer_id`, `id`);
-- Create index "rollout_tmr_group_id_number" to table: "rollouts"
CREATE UNIQUE INDEX `rollout_tmr_group_id_number` ON `rollouts` (`tmr_group_id`, `number`);
-- Create index "rollout_tmr_group_id_idempotency_key" to table: "rollouts"
CREATE UNIQUE INDEX `rollout_tmr_group_id_idempotency_key` ON `rollouts` (`tmr_group_id`, `idempotency_key`);
-- Create index "rollout_one_running" to table: "rollouts"
CREATE UNIQUE INDEX `rollout_one_running` ON `rollouts` (`tmr_group_id`) WHERE running;
-- Create index "rollout_container_id_number" to table: "rollouts"
CREATE UNIQUE INDEX `rollout_container_id_number` ON `rollouts` (`container_id`, `number`);
-- Create index "rollout_container_id_idempotency_key" to table: "rollouts"
CREATE UNIQUE INDEX `rollout_container_id_idempotency_key` ON `rollouts` (`container_id`, `idempotency_key`);
-- Create index "rollout_one_running_container" to table: "rollouts"
CREATE UNIQUE INDEX `rollout_one_running_container` ON `rollouts` (`container_id`) WHERE running;
-- Create "new_transfers" table
CREATE TABLE `new_transfers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `kind` text NOT NULL, `state` text NOT NULL DEFAULT ('REQUESTED'), `quantity` integer NOT NULL, `credited` bool NOT NULL DEFAULT (false), `reason` text NULL, `note` text NULL, `requested_by` text NOT NULL, `confirmed_at` datetime NULL, `container_id` text NULL, `to_container_id` text NULL, `rollout_id` text NULL, `ticket_activation_id` text NULL, `tmr_group_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `product_id` text NOT NULL, `item_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `transfers_containers_transfers` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_containers_receives` FOREIGN KEY (`to_container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_rollouts_transfers` FOREIGN KEY (`rollout_id`) REFERENCES `rollouts` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_ticket_activations_transfers` FOREIGN KEY (`ticket_activation_id`) REFERENCES `ticket_activations` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_tmr_groups_transfers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `transfers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_products_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION, CONSTRAINT `transfers_items_item` FOREIGN KEY (`item_id`) REFERENCES `items` (`id`) ON DELETE NO ACTION, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "transfers" to new temporary table "new_transfers"
INSERT INTO `new_transfers` (`id`, `created_at`, `kind`, `state`, `quantity`, `credited`, `reason`, `note`, `requested_by`, `confirmed_at`, `container_id`, `to_container_id`, `rollout_id`, `tmr_group_id`, `vendor_id`, `customer_id`, `product_id`, `item_id`) SELECT `id`, `created_at`, `kind`, `state`, `quantity`, `credited`, `reason`, `note`, `requested_by`, `confirmed_at`, `container_id`, `to_container_id`, `rollout_id`, `tmr_group_id`, `vendor_id`, `customer_id`, `product_id`, `item_id` FROM `transfers`;
-- Drop "transfers" table after copying rows
DROP TABLE `transfers`;
-- Rename temporary table "new_transfers" to "transfers"
ALTER TABLE `new_transfers` RENAME TO `transfers`;
-- Create index "transfer_vendor_id_id" to table: "transfers"
CREATE INDEX `transfer_vendor_id_id` ON `transfers` (`vendor_id`, `id`);
-- Create index "transfer_customer_id_id" to table: "transfers"
CREATE INDEX `transfer_customer_id_id` ON `transfers` (`customer_id`, `id`);
-- Create index "transfer_tmr_group_id_rollout_id" to table: "transfers"
CREATE INDEX `transfer_tmr_group_id_rollout_id` ON `transfers` (`tmr_group_id`, `rollout_id`);
-- Create index "transfer_container_id_rollout_id" to table: "transfers"
CREATE INDEX `transfer_container_id_rollout_id` ON `transfers` (`container_id`, `rollout_id`);
-- Create "new_tmr_servers" table
CREATE TABLE `new_tmr_servers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `address` text NOT NULL, `link_token_hash` blob NOT NULL, `leading` bool NOT NULL DEFAULT (false), `seen_at` datetime NULL, `rules_digest` text NOT NULL DEFAULT (''), `rules_own` bool NOT NULL DEFAULT (false), `rules_problem` text NOT NULL DEFAULT (''), `version` text NOT NULL DEFAULT (''), `started_at` datetime NULL, `linked_at` datetime NULL, `lost_at` datetime NULL, `latency` integer NULL, `links` integer NOT NULL DEFAULT (0), `revoked_at` datetime NULL, `revision` integer NOT NULL DEFAULT (1), `container_id` text NULL, `tmr_group_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `tmr_servers_containers_servers` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `tmr_servers_tmr_groups_servers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `tmr_servers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `tmr_servers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "tmr_servers" to new temporary table "new_tmr_servers"
INSERT INTO `new_tmr_servers` (`id`, `created_at`, `name`, `address`, `link_token_hash`, `leading`, `seen_at`, `rules_digest`, `rules_own`, `rules_problem`, `container_id`, `tmr_group_id`, `vendor_id`, `customer_id`) SELECT `id`, `created_at`, `name`, `address`, `link_token_hash`, `leading`, `seen_at`, `rules_digest`, `rules_own`, `rules_problem`, `container_id`, `tmr_group_id`, `vendor_id`, `customer_id` FROM `tmr_servers`;
-- Drop "tmr_servers" table after copying rows
DROP TABLE `tmr_servers`;
-- Rename temporary table "new_tmr_servers" to "tmr_servers"
ALTER TABLE `new_tmr_servers` RENAME TO `tmr_servers`;
-- Create index "tmr_servers_link_token_hash_key" to table: "tmr_servers"
CREATE UNIQUE INDEX `tmr_servers_link_token_hash_key` ON `tmr_servers` (`link_token_hash`);
-- Create index "tmrserver_vendor_id_id" to table: "tmr_servers"
CREATE INDEX `tmrserver_vendor_id_id` ON `tmr_servers` (`vendor_id`, `id`);
-- Create index "tmrserver_customer_id_id" to table: "tmr_servers"
CREATE INDEX `tmrserver_customer_id_id` ON `tmr_servers` (`customer_id`, `id`);
-- Create index "tmrserver_tmr_group_id_name" to table: "tmr_servers"
CREATE UNIQUE INDEX `tmrserver_tmr_group_id_name` ON `tmr_servers` (`tmr_group_id`, `name`);
-- Create index "tmrserver_container_id_name" to table: "tmr_servers"
CREATE UNIQUE INDEX `tmrserver_container_id_name` ON `tmr_servers` (`container_id`, `name`);
-- Create "enrollments" table
CREATE TABLE `enrollments` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `code_digest` blob NOT NULL, `created_by` text NOT NULL, `expires_at` datetime NOT NULL, `used_at` datetime NULL, `revoked_at` datetime NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NULL, `container_id` text NULL, `tmr_server_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `enrollments_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `enrollments_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `enrollments_tmr_groups_tmr_group` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `enrollments_containers_container` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `enrollments_tmr_servers_tmr_server` FOREIGN KEY (`tmr_server_id`) REFERENCES `tmr_servers` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Create index "enrollments_code_digest_key" to table: "enrollments"
CREATE UNIQUE INDEX `enrollments_code_digest_key` ON `enrollments` (`code_digest`);
-- Create index "enrollment_vendor_id_id" to table: "enrollments"
CREATE INDEX `enrollment_vendor_id_id` ON `enrollments` (`vendor_id`, `id`);
-- Create index "enrollment_customer_id_id" to table: "enrollments"
CREATE INDEX `enrollment_customer_id_id` ON `enrollments` (`customer_id`, `id`);
-- Create "idempotency_keys" table
CREATE TABLE `idempotency_keys` (`id` text NOT NULL, `created_at` datetime NOT NULL, `operation` text NOT NULL, `key` text NOT NULL, `digest` blob NOT NULL, `result` text NOT NULL, `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `idempotency_keys_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "idempotencykey_organization_id_id" to table: "idempotency_keys"
CREATE INDEX `idempotencykey_organization_id_id` ON `idempotency_keys` (`organization_id`, `id`);
-- Create index "idempotencykey_organization_id_operation_key" to table: "idempotency_keys"
CREATE UNIQUE INDEX `idempotencykey_organization_id_operation_key` ON `idempotency_keys` (`organization_id`, `operation`, `key`);
-- Create index "idempotencykey_created_at" to table: "idempotency_keys"
CREATE INDEX `idempotencykey_created_at` ON `idempotency_keys` (`created_at`);
-- Create "identity_providers" table
CREATE TABLE `identity_providers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `issuer` text NOT NULL, `client_id` text NOT NULL, `sealed_secret` blob NULL, `domains` json NULL, `join_role` text NULL, `enforced` bool NOT NULL DEFAULT (false), `revision` integer NOT NULL DEFAULT (1), `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `identity_providers_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "identityprovider_organization_id_id" to table: "identity_providers"
CREATE INDEX `identityprovider_organization_id_id` ON `identity_providers` (`organization_id`, `id`);
-- Create index "identityprovider_organization_id_name" to table: "identity_providers"
CREATE UNIQUE INDEX `identityprovider_organization_id_name` ON `identity_providers` (`organization_id`, `name`);
-- Create "invitations" table
CREATE TABLE `invitations` (`id` text NOT NULL, `created_at` datetime NOT NULL, `email` text NOT NULL, `name` text NOT NULL, `role` text NOT NULL, `groups` json NULL, `token_digest` blob NOT NULL, `invited_by` text NOT NULL, `expires_at` datetime NOT NULL, `accepted_at` datetime NULL, `revoked_at` datetime NULL, `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `invitations_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "invitations_token_digest_key" to table: "invitations"
CREATE UNIQUE INDEX `invitations_token_digest_key` ON `invitations` (`token_digest`);
-- Create index "invitation_organization_id_id" to table: "invitations"
CREATE INDEX `invitation_organization_id_id` ON `invitations` (`organization_id`, `id`);
-- Create "item_versions" table
CREATE TABLE `item_versions` (`id` text NOT NULL, `created_at` datetime NOT NULL, `revision` integer NOT NULL, `terms` json NOT NULL, `changed_by` text NOT NULL, `item_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `item_versions_items_versions` FOREIGN KEY (`item_id`) REFERENCES `items` (`id`) ON DELETE NO ACTION, CONSTRAINT `item_versions_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `item_versions_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "itemversion_vendor_id_id" to table: "item_versions"
CREATE INDEX `itemversion_vendor_id_id` ON `item_versions` (`vendor_id`, `id`);
-- Create index "itemversion_customer_id_id" to table: "item_versions"
CREATE INDEX `itemversion_customer_id_id` ON `item_versions` (`customer_id`, `id`);
-- Create index "itemversion_item_id_revision" to table: "item_versions"
CREATE UNIQUE INDEX `itemversion_item_id_revision` ON `item_versions` (`item_id`, `revision`);
-- Create "member_groups" table
CREATE TABLE `member_groups` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `role` text NOT NULL, `revision` integer NOT NULL DEFAULT (1), `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `member_groups_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "membergroup_organization_id_id" to table: "member_groups"
CREATE INDEX `membergroup_organization_id_id` ON `member_groups` (`organization_id`, `id`);
-- Create index "membergroup_organization_id_name" to table: "member_groups"
CREATE UNIQUE INDEX `membergroup_organization_id_name` ON `member_groups` (`organization_id`, `name`);
-- Create "member_group_entries" table
CREATE TABLE `member_group_entries` (`id` text NOT NULL, `created_at` datetime NOT NULL, `member_id` text NOT NULL, `member_group_id` text NOT NULL, `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `member_group_entries_members_memberships` FOREIGN KEY (`member_id`) REFERENCES `members` (`id`) ON DELETE NO ACTION, CONSTRAINT `member_group_entries_member_groups_entries` FOREIGN KEY (`member_group_id`) REFERENCES `member_groups` (`id`) ON DELETE NO ACTION, CONSTRAINT `member_group_entries_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "membergroupentry_organization_id_id" to table: "member_group_entries"
CREATE INDEX `membergroupentry_organization_id_id` ON `member_group_entries` (`organization_id`, `id`);
-- Create index "membergroupentry_member_group_id_member_id" to table: "member_group_entries"
CREATE UNIQUE INDEX `membergroupentry_member_group_id_member_id` ON `member_group_entries` (`member_group_id`, `member_id`);
-- Create index "membergroupentry_member_id" to table: "member_group_entries"
CREATE INDEX `membergroupentry_member_id` ON `member_group_entries` (`member_id`);
-- Create "rollout_plans" table
CREATE TABLE `rollout_plans` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `state` text NOT NULL DEFAULT ('SCHEDULED'), `not_before` datetime NULL, `window` json NULL, `at_once` integer NOT NULL DEFAULT (1), `stop_after` integer NOT NULL DEFAULT (0), `stop_reason` text NOT NULL DEFAULT (''), `started_by` text NOT NULL, `finished_at` datetime NULL, `revision` integer NOT NULL DEFAULT (1), `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `rollout_plans_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `rollout_plans_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "rolloutplan_vendor_id_id" to table: "rollout_plans"
CREATE INDEX `rolloutplan_vendor_id_id` ON `rollout_plans` (`vendor_id`, `id`);
-- Create index "rolloutplan_customer_id_id" to table: "rollout_plans"
CREATE INDEX `rolloutplan_customer_id_id` ON `rollout_plans` (`customer_id`, `id`);
-- Create "rollout_plan_entries" table
CREATE TABLE `rollout_plan_entries` (`id` text NOT NULL, `created_at` datetime NOT NULL, `wave` integer NOT NULL, `state` text NOT NULL DEFAULT ('WAITING'), `note` text NOT NULL DEFAULT (''), `rollout_plan_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NULL, `container_id` text NULL, `rollout_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `rollout_plan_entries_rollout_plans_entries` FOREIGN KEY (`rollout_plan_id`) REFERENCES `rollout_plans` (`id`) ON DELETE NO ACTION, CONSTRAINT `rollout_plan_entries_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `rollout_plan_entries_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `rollout_plan_entries_tmr_groups_tmr_group` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `rollout_plan_entries_containers_container` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `rollout_plan_entries_rollouts_rollout` FOREIGN KEY (`rollout_id`) REFERENCES `rollouts` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Create index "rolloutplanentry_vendor_id_id" to table: "rollout_plan_entries"
CREATE INDEX `rolloutplanentry_vendor_id_id` ON `rollout_plan_entries` (`vendor_id`, `id`);
-- Create index "rolloutplanentry_customer_id_id" to table: "rollout_plan_entries"
CREATE INDEX `rolloutplanentry_customer_id_id` ON `rollout_plan_entries` (`customer_id`, `id`);
-- Create index "rolloutplanentry_rollout_plan_id_wave" to table: "rollout_plan_entries"
CREATE INDEX `rolloutplanentry_rollout_plan_id_wave` ON `rollout_plan_entries` (`rollout_plan_id`, `wave`);
-- Create index "rolloutplanentry_rollout_id" to table: "rollout_plan_entries"
CREATE INDEX `rolloutplanentry_rollout_id` ON `rollout_plan_entries` (`rollout_id`);
-- Create "tickets" table
CREATE TABLE `tickets` (`id` text NOT NULL, `created_at` datetime NOT NULL, `code_digest` blob NOT NULL, `sealed_code` blob NOT NULL, `hint` text NOT NULL, `reference` text NOT NULL DEFAULT (''), `note` text NOT NULL DEFAULT (''), `partial` bool NOT NULL DEFAULT (true), `return_limit` integer NULL, `returns` integer NOT NULL DEFAULT (0), `expires_at` datetime NULL, `revoked_at` datetime NULL, `revoke_reason` text NOT NULL DEFAULT (''), `created_by` text NOT NULL, `revision` integer NOT NULL DEFAULT (1), `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `tickets_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `tickets_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "tickets_code_digest_key" to table: "tickets"
CREATE UNIQUE INDEX `tickets_code_digest_key` ON `tickets` (`code_digest`);
-- Create index "ticket_vendor_id_id" to table: "tickets"
CREATE INDEX `ticket_vendor_id_id` ON `tickets` (`vendor_id`, `id`);
-- Create index "ticket_customer_id_id" to table: "tickets"
CREATE INDEX `ticket_customer_id_id` ON `tickets` (`customer_id`, `id`);
-- Create index "ticket_vendor_id_reference" to table: "tickets"
CREATE INDEX `ticket_vendor_id_reference` ON `tickets` (`vendor_id`, `reference`);
-- Create "ticket_activations" table
CREATE TABLE `ticket_activations` (`id` text NOT NULL, `created_at` datetime NOT NULL, `quantity` integer NOT NULL, `returned` integer NOT NULL DEFAULT (0), `offline` bool NOT NULL DEFAULT (false), `activated_by` text NOT NULL, `ticket_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NULL, `container_id` text NULL, `order_id` text NOT NULL, `ticket_line_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `ticket_activations_tickets_activations` FOREIGN KEY (`ticket_id`) REFERENCES `tickets` (`id`) ON DELETE NO ACTION, CONSTRAINT `ticket_activations_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `ticket_activations_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `ticket_activations_tmr_groups_tmr_group` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `ticket_activations_containers_container` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `ticket_activations_orders_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`) ON DELETE NO ACTION, CONSTRAINT `ticket_activations_ticket_lines_activations` FOREIGN KEY (`ticket_line_id`) REFERENCES `ticket_lines` (`id`) ON DELETE NO ACTION, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Create index "ticketactivation_vendor_id_id" to table: "ticket_activations"
CREATE INDEX `ticketactivation_vendor_id_id` ON `ticket_activations` (`vendor_id`, `id`);
-- Create index "ticketactivation_customer_id_id" to table: "ticket_activations"
CREATE INDEX `ticketactivation_customer_id_id` ON `ticket_activations` (`customer_id`, `id`);
-- Create index "ticketactivation_ticket_id" to table: "ticket_activations"
CREATE INDEX `ticketactivation_ticket_id` ON `ticket_activations` (`ticket_id`);
-- Create index "ticketactivation_order_id" to table: "ticket_activations"
CREATE UNIQUE INDEX `ticketactivation_order_id` ON `ticket_activations` (`order_id`);
-- Create index "ticketactivation_container_id" to table: "ticket_activations"
CREATE INDEX `ticketactivation_container_id` ON `ticket_activations` (`container_id`);
-- Create index "ticketactivation_tmr_group_id" to table: "ticket_activations"
CREATE INDEX `ticketactivation_tmr_group_id` ON `ticket_activations` (`tmr_group_id`);
-- Create "ticket_lines" table
CREATE TABLE `ticket_lines` (`id` text NOT NULL, `created_at` datetime NOT NULL, `position` integer NOT NULL, `quantity` integer NOT NULL, `activated` integer NOT NULL DEFAULT (0), `ticket_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `item_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `ticket_lines_tickets_lines` FOREIGN KEY (`ticket_id`) REFERENCES `tickets` (`id`) ON DELETE NO ACTION, CONSTRAINT `ticket_lines_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `ticket_lines_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `ticket_lines_items_item` FOREIGN KEY (`item_id`) REFERENCES `items` (`id`) ON DELETE NO ACTION);
-- Create index "ticketline_vendor_id_id" to table: "ticket_lines"
CREATE INDEX `ticketline_vendor_id_id` ON `ticket_lines` (`vendor_id`, `id`);
-- Create index "ticketline_customer_id_id" to table: "ticket_lines"
CREATE INDEX `ticketline_customer_id_id` ON `ticket_lines` (`customer_id`, `id`);
-- Create index "ticketline_ticket_id_position" to table: "ticket_lines"
CREATE UNIQUE INDEX `ticketline_ticket_id_position` ON `ticket_lines` (`ticket_id`, `position`);
-- Create "user_identities" table
CREATE TABLE `user_identities` (`id` text NOT NULL, `created_at` datetime NOT NULL, `issuer` text NOT NULL, `subject` text NOT NULL, `provider_id` text NOT NULL, `user_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `user_identities_identity_providers_identities` FOREIGN KEY (`provider_id`) REFERENCES `identity_providers` (`id`) ON DELETE NO ACTION, CONSTRAINT `user_identities_users_identities` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE NO ACTION);
-- Create index "useridentity_provider_id_issuer_subject" to table: "user_identities"
CREATE UNIQUE INDEX `useridentity_provider_id_issuer_subject` ON `user_identities` (`provider_id`, `issuer`, `subject`);
-- Create "webhook_deliveries" table
CREATE TABLE `webhook_deliveries` (`id` text NOT NULL, `created_at` datetime NOT NULL, `state` text NOT NULL DEFAULT ('PENDING'), `attempt` integer NOT NULL DEFAULT (0), `due_at` datetime NULL, `attempts` json NULL, `replay` bool NOT NULL DEFAULT (false), `organization_id` text NOT NULL, `webhook_endpoint_id` text NOT NULL, `webhook_event_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `webhook_deliveries_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `webhook_deliveries_webhook_endpoints_deliveries` FOREIGN KEY (`webhook_endpoint_id`) REFERENCES `webhook_endpoints` (`id`) ON DELETE NO ACTION, CONSTRAINT `webhook_deliveries_webhook_events_deliveries` FOREIGN KEY (`webhook_event_id`) REFERENCES `webhook_events` (`id`) ON DELETE NO ACTION);
-- Create index "webhookdelivery_organization_id_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_organization_id_id` ON `webhook_deliveries` (`organization_id`, `id`);
-- Create index "webhookdelivery_webhook_endpoint_id_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_webhook_endpoint_id_id` ON `webhook_deliveries` (`webhook_endpoint_id`, `id`);
-- Create index "webhookdelivery_webhook_event_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_webhook_event_id` ON `webhook_deliveries` (`webhook_event_id`);
-- Create index "webhookdelivery_state_due_at" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_state_due_at` ON `webhook_deliveries` (`state`, `due_at`);
-- Create "webhook_endpoints" table
CREATE TABLE `webhook_endpoints` (`id` text NOT NULL, `created_at` datetime NOT NULL, `url` text NOT NULL, `description` text NOT NULL DEFAULT (''), `events` json NOT NULL, `sealed_secret` blob NOT NULL, `sealed_previous` blob NULL, `previous_until` datetime NULL, `disabled_at` datetime NULL, `disabled_reason` text NOT NULL DEFAULT (''), `failing_since` datetime NULL, `revision` integer NOT NULL DEFAULT (1), `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `webhook_endpoints_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "webhookendpoint_organization_id_id" to table: "webhook_endpoints"
CREATE INDEX `webhookendpoint_organization_id_id` ON `webhook_endpoints` (`organization_id`, `id`);
-- Create "webhook_events" table
CREATE TABLE `webhook_events` (`id` text NOT NULL, `created_at` datetime NOT NULL, `kind` text NOT NULL, `payload` blob NOT NULL, `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `webhook_events_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "webhookevent_organization_id_id" to table: "webhook_events"
CREATE INDEX `webhookevent_organization_id_id` ON `webhook_events` (`organization_id`, `id`);
-- Create index "webhookevent_created_at" to table: "webhook_events"
CREATE INDEX `webhookevent_created_at` ON `webhook_events` (`created_at`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
