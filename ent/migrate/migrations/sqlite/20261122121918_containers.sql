-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_containers" table
CREATE TABLE `new_containers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `serial` text NOT NULL, `kind` text NOT NULL, `position` integer NULL, `activation_id` blob NULL, `sign_key` blob NULL, `seal_key` blob NULL, `manipulation_suspected` bool NOT NULL DEFAULT (false), `suspect_reason` text NULL, `suspect_fingerprint` blob NULL, `blocked_at` datetime NULL, `block_reason` text NULL, `trail_count` integer NOT NULL DEFAULT (0), `trail_value` blob NULL, `linked_at` datetime NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `replaced_by_id` text NULL, `tmr_group_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `containers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `containers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `containers_containers_replaces` FOREIGN KEY (`replaced_by_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `containers_tmr_groups_containers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL);
-- Copy rows from old table "containers" to new temporary table "new_containers"
INSERT INTO `new_containers` (`id`, `created_at`, `serial`, `kind`, `position`, `activation_id`, `sign_key`, `seal_key`, `manipulation_suspected`, `vendor_id`, `customer_id`, `tmr_group_id`) SELECT `id`, `created_at`, `serial`, `kind`, `position`, `activation_id`, `sign_key`, `seal_key`, `manipulation_suspected`, `vendor_id`, `customer_id`, `tmr_group_id` FROM `containers`;
-- Drop "containers" table after copying rows
DROP TABLE `containers`;
-- Rename temporary table "new_containers" to "containers"
ALTER TABLE `new_containers` RENAME TO `containers`;
-- Create index "containers_serial_key" to table: "containers"
CREATE UNIQUE INDEX `containers_serial_key` ON `containers` (`serial`);
-- Create index "container_vendor_id_id" to table: "containers"
CREATE INDEX `container_vendor_id_id` ON `containers` (`vendor_id`, `id`);
-- Create index "container_customer_id_id" to table: "containers"
CREATE INDEX `container_customer_id_id` ON `containers` (`customer_id`, `id`);
-- Create index "container_tmr_group_id_position" to table: "containers"
CREATE UNIQUE INDEX `container_tmr_group_id_position` ON `containers` (`tmr_group_id`, `position`);
-- Create "new_firms" table
CREATE TABLE `new_firms` (`id` text NOT NULL, `created_at` datetime NOT NULL, `code` integer NOT NULL, `name` text NOT NULL, `sealed_key` blob NOT NULL, `public_key` blob NOT NULL, `cert` blob NOT NULL, `rehost_limit` integer NULL, `move_limit` integer NULL, `limit_days` integer NOT NULL DEFAULT (365), `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `firms_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `firms_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Copy rows from old table "firms" to new temporary table "new_firms"
INSERT INTO `new_firms` (`id`, `created_at`, `code`, `name`, `sealed_key`, `public_key`, `cert`, `vendor_id`, `customer_id`) SELECT `id`, `created_at`, `code`, `name`, `sealed_key`, `public_key`, `cert`, `vendor_id`, `customer_id` FROM `firms`;
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
-- Create "new_orders" table
CREATE TABLE `new_orders` (`id` text NOT NULL, `created_at` datetime NOT NULL, `source` text NOT NULL DEFAULT ('PURCHASE'), `number` integer NOT NULL, `quantity` integer NOT NULL, `idempotency_key` text NULL, `container_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `item_id` text NOT NULL, `rollout_id` text NULL, `tmr_group_id` text NULL, `transfer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `orders_containers_orders` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `orders_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `orders_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `orders_items_item` FOREIGN KEY (`item_id`) REFERENCES `items` (`id`) ON DELETE NO ACTION, CONSTRAINT `orders_rollouts_orders` FOREIGN KEY (`rollout_id`) REFERENCES `rollouts` (`id`) ON DELETE SET NULL, CONSTRAINT `orders_tmr_groups_orders` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `orders_transfers_orders` FOREIGN KEY (`transfer_id`) REFERENCES `transfers` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "orders" to new temporary table "new_orders"
INSERT INTO `new_orders` (`id`, `created_at`, `number`, `quantity`, `idempotency_key`, `vendor_id`, `customer_id`, `item_id`, `rollout_id`, `tmr_group_id`) SELECT `id`, `created_at`, `number`, `quantity`, `idempotency_key`, `vendor_id`, `customer_id`, `item_id`, `rollout_id`, `tmr_group_id` FROM `orders`;
-- Drop "orders" table after copying rows
DROP TABLE `orders`;
-- Rename temporary table "new_orders" to "orders"
ALTER TABLE `new_orders` RENAME TO `orders`;
-- Create index "order_vendor_id_id" to table: "orders"
CREATE INDEX `order_vendor_id_id` ON `orders` (`vendor_id`, `id`);
-- Create index "order_customer_id_id" to table: "orders"
CREATE INDEX `order_customer_id_id` ON `orders` (`customer_id`, `id`);
-- Create index "order_vendor_id_number" to table: "orders"
CREATE UNIQUE INDEX `order_vendor_id_number` ON `orders` (`vendor_id`, `number`);
-- Create index "order_vendor_id_idempotency_key" to table: "orders"
CREATE UNIQUE INDEX `order_vendor_id_idempotency_key` ON `orders` (`vendor_id`, `idempotency_key`);
-- Create index "order_tmr_group_id_rollout_id" to table: "orders"
CREATE INDEX `order_tmr_group_id_rollout_id` ON `orders` (`tmr_group_id`, `rollout_id`);
-- Create index "order_container_id_rollout_id" to table: "orders"
CREATE INDEX `order_container_id_rollout_id` ON `orders` (`container_id`, `rollout_id`);
-- Create "new_rollouts" table
CREATE TABLE `new_rollouts` (`id` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `state` text NOT NULL, `running` bool NOT NULL DEFAULT (false), `machine` blob NULL, `steps` json NOT NULL, `epoch` integer NOT NULL DEFAULT (0), `sequence` integer NOT NULL DEFAULT (0), `tmr_id` integer NOT NULL DEFAULT (0), `quantity` integer NOT NULL DEFAULT (0), `firm` integer NOT NULL DEFAULT (0), `products` json NULL, `blocker` text NULL, `error_code` text NULL, `error_message` text NULL, `started_by` text NOT NULL, `finished_at` datetime NULL, `idempotency_key` text NULL, `container_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `rollouts_containers_rollouts` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `rollouts_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `rollouts_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `rollouts_tmr_groups_rollouts` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "rollouts" to new temporary table "new_rollouts"
INSERT INTO `new_rollouts` (`id`, `created_at`, `number`, `state`, `running`, `machine`, `steps`, `epoch`, `sequence`, `tmr_id`, `quantity`, `firm`, `products`, `blocker`, `error_code`, `error_message`, `started_by`, `finished_at`, `idempotency_key`, `vendor_id`, `customer_id`, `tmr_group_id`) SELECT `id`, `created_at`, `number`, `state`, `running`, `machine`, `steps`, `epoch`, `sequence`, `tmr_id`, `quantity`, `firm`, `products`, `blocker`, `error_code`, `error_message`, `started_by`, `finished_at`, `idempotency_key`, `vendor_id`, `customer_id`, `tmr_group_id` FROM `rollouts`;
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
-- Create "new_tmr_servers" table
CREATE TABLE `new_tmr_servers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `address` text NOT NULL, `link_token_hash` blob NOT NULL, `leading` bool NOT NULL DEFAULT (false), `seen_at` datetime NULL, `container_id` text NULL, `tmr_group_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `tmr_servers_containers_servers` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `tmr_servers_tmr_groups_servers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `tmr_servers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `tmr_servers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "tmr_servers" to new temporary table "new_tmr_servers"
INSERT INTO `new_tmr_servers` (`id`, `created_at`, `name`, `address`, `link_token_hash`, `leading`, `seen_at`, `tmr_group_id`, `vendor_id`, `customer_id`) SELECT `id`, `created_at`, `name`, `address`, `link_token_hash`, `leading`, `seen_at`, `tmr_group_id`, `vendor_id`, `customer_id` FROM `tmr_servers`;
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
-- Create "new_works" table
CREATE TABLE `new_works` (`id` text NOT NULL, `created_at` datetime NOT NULL, `key` text NOT NULL, `kind` text NOT NULL, `payload` blob NOT NULL, `state` text NOT NULL DEFAULT ('PENDING'), `result` blob NULL, `error_code` text NULL, `error_message` text NULL, `done_at` datetime NULL, `container_id` text NULL, `rollout_id` text NULL, `tmr_group_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `works_containers_work` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `works_rollouts_work` FOREIGN KEY (`rollout_id`) REFERENCES `rollouts` (`id`) ON DELETE SET NULL, CONSTRAINT `works_tmr_groups_work` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `works_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `works_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Copy rows from old table "works" to new temporary table "new_works"
INSERT INTO `new_works` (`id`, `created_at`, `key`, `kind`, `payload`, `state`, `result`, `error_code`, `error_message`, `done_at`, `rollout_id`, `tmr_group_id`, `vendor_id`, `customer_id`) SELECT `id`, `created_at`, `key`, `kind`, `payload`, `state`, `result`, `error_code`, `error_message`, `done_at`, `rollout_id`, `tmr_group_id`, `vendor_id`, `customer_id` FROM `works`;
-- Drop "works" table after copying rows
DROP TABLE `works`;
-- Rename temporary table "new_works" to "works"
ALTER TABLE `new_works` RENAME TO `works`;
-- Create index "works_key_key" to table: "works"
CREATE UNIQUE INDEX `works_key_key` ON `works` (`key`);
-- Create index "work_vendor_id_id" to table: "works"
CREATE INDEX `work_vendor_id_id` ON `works` (`vendor_id`, `id`);
-- Create index "work_customer_id_id" to table: "works"
CREATE INDEX `work_customer_id_id` ON `works` (`customer_id`, `id`);
-- Create index "work_tmr_group_id_state_id" to table: "works"
CREATE INDEX `work_tmr_group_id_state_id` ON `works` (`tmr_group_id`, `state`, `id`);
-- Create index "work_container_id_state_id" to table: "works"
CREATE INDEX `work_container_id_state_id` ON `works` (`container_id`, `state`, `id`);
-- Create index "work_rollout_id" to table: "works"
CREATE INDEX `work_rollout_id` ON `works` (`rollout_id`);
-- Create "transfers" table
CREATE TABLE `transfers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `kind` text NOT NULL, `state` text NOT NULL DEFAULT ('REQUESTED'), `quantity` integer NOT NULL, `credited` bool NOT NULL DEFAULT (false), `reason` text NULL, `note` text NULL, `requested_by` text NOT NULL, `confirmed_at` datetime NULL, `container_id` text NULL, `to_container_id` text NULL, `rollout_id` text NULL, `tmr_group_id` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `product_id` text NOT NULL, `item_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `transfers_containers_transfers` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_containers_receives` FOREIGN KEY (`to_container_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_rollouts_transfers` FOREIGN KEY (`rollout_id`) REFERENCES `rollouts` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_tmr_groups_transfers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `transfers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `transfers_products_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION, CONSTRAINT `transfers_items_item` FOREIGN KEY (`item_id`) REFERENCES `items` (`id`) ON DELETE NO ACTION, CONSTRAINT `one_place` CHECK ((tmr_group_id IS NULL) <> (container_id IS NULL)));
-- Create index "transfer_vendor_id_id" to table: "transfers"
CREATE INDEX `transfer_vendor_id_id` ON `transfers` (`vendor_id`, `id`);
-- Create index "transfer_customer_id_id" to table: "transfers"
CREATE INDEX `transfer_customer_id_id` ON `transfers` (`customer_id`, `id`);
-- Create index "transfer_tmr_group_id_rollout_id" to table: "transfers"
CREATE INDEX `transfer_tmr_group_id_rollout_id` ON `transfers` (`tmr_group_id`, `rollout_id`);
-- Create index "transfer_container_id_rollout_id" to table: "transfers"
CREATE INDEX `transfer_container_id_rollout_id` ON `transfers` (`container_id`, `rollout_id`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
