-- Create "allocations" table
CREATE TABLE `allocations` (`id` text NOT NULL, `created_at` datetime NOT NULL, `handle` text NOT NULL, `mode` text NOT NULL, `licenses` integer NOT NULL DEFAULT (1), `seat` integer NOT NULL, `n` integer NOT NULL, `client` text NOT NULL, `user` text NOT NULL, `station` text NOT NULL, `process_id` integer NOT NULL, `application` text NOT NULL, `state` text NOT NULL, `first_access` datetime NOT NULL, `last_access` datetime NOT NULL, `ended_at` datetime NULL, `ended_by` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `product_id` text NOT NULL, `container_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `allocations_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `allocations_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `allocations_products_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION, CONSTRAINT `allocations_containers_allocations` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE NO ACTION);
-- Create index "allocation_vendor_id_id" to table: "allocations"
CREATE INDEX `allocation_vendor_id_id` ON `allocations` (`vendor_id`, `id`);
-- Create index "allocation_customer_id_id" to table: "allocations"
CREATE INDEX `allocation_customer_id_id` ON `allocations` (`customer_id`, `id`);
-- Create index "allocation_container_id_handle" to table: "allocations"
CREATE UNIQUE INDEX `allocation_container_id_handle` ON `allocations` (`container_id`, `handle`);
-- Create index "allocation_container_id_state_id" to table: "allocations"
CREATE INDEX `allocation_container_id_state_id` ON `allocations` (`container_id`, `state`, `id`);
-- Create index "allocation_vendor_id_state_id" to table: "allocations"
CREATE INDEX `allocation_vendor_id_state_id` ON `allocations` (`vendor_id`, `state`, `id`);
-- Create index "allocation_customer_id_state_id" to table: "allocations"
CREATE INDEX `allocation_customer_id_state_id` ON `allocations` (`customer_id`, `state`, `id`);
-- Create "api_tokens" table
CREATE TABLE `api_tokens` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `role` text NOT NULL, `hash` blob NOT NULL, `last_used_at` datetime NULL, `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `api_tokens_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "api_tokens_hash_key" to table: "api_tokens"
CREATE UNIQUE INDEX `api_tokens_hash_key` ON `api_tokens` (`hash`);
-- Create index "apitoken_organization_id_id" to table: "api_tokens"
CREATE INDEX `apitoken_organization_id_id` ON `api_tokens` (`organization_id`, `id`);
-- Create "audit_entries" table
CREATE TABLE `audit_entries` (`id` text NOT NULL, `created_at` datetime NOT NULL, `actor` text NOT NULL, `action` text NOT NULL, `target` text NOT NULL, `before` json NULL, `after` json NULL, `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `audit_entries_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "auditentry_organization_id_id" to table: "audit_entries"
CREATE INDEX `auditentry_organization_id_id` ON `audit_entries` (`organization_id`, `id`);
-- Create index "auditentry_target" to table: "audit_entries"
CREATE INDEX `auditentry_target` ON `audit_entries` (`target`);
-- Create "containers" table
CREATE TABLE `containers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `serial` text NOT NULL, `kind` text NOT NULL, `position` integer NULL, `activation_id` blob NULL, `sign_key` blob NULL, `seal_key` blob NULL, `manipulation_suspected` bool NOT NULL DEFAULT (false), `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `containers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `containers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `containers_tmr_groups_containers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL);
-- Create index "containers_serial_key" to table: "containers"
CREATE UNIQUE INDEX `containers_serial_key` ON `containers` (`serial`);
-- Create index "container_vendor_id_id" to table: "containers"
CREATE INDEX `container_vendor_id_id` ON `containers` (`vendor_id`, `id`);
-- Create index "container_customer_id_id" to table: "containers"
CREATE INDEX `container_customer_id_id` ON `containers` (`customer_id`, `id`);
-- Create index "container_tmr_group_id_position" to table: "containers"
CREATE UNIQUE INDEX `container_tmr_group_id_position` ON `containers` (`tmr_group_id`, `position`);
-- Create "denials" table
CREATE TABLE `denials` (`id` text NOT NULL, `created_at` datetime NOT NULL, `position` integer NOT NULL, `at` datetime NOT NULL, `reason` text NOT NULL, `client` text NOT NULL, `user` text NOT NULL, `application` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `container_id` text NOT NULL, `product_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `denials_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `denials_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `denials_containers_container` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE NO ACTION, CONSTRAINT `denials_products_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION);
-- Create index "denial_vendor_id_id" to table: "denials"
CREATE INDEX `denial_vendor_id_id` ON `denials` (`vendor_id`, `id`);
-- Create index "denial_customer_id_id" to table: "denials"
CREATE INDEX `denial_customer_id_id` ON `denials` (`customer_id`, `id`);
-- Create index "denial_container_id_position" to table: "denials"
CREATE UNIQUE INDEX `denial_container_id_position` ON `denials` (`container_id`, `position`);
-- Create index "denial_container_id_at" to table: "denials"
CREATE INDEX `denial_container_id_at` ON `denials` (`container_id`, `at`);
-- Create "firms" table
CREATE TABLE `firms` (`id` text NOT NULL, `created_at` datetime NOT NULL, `code` integer NOT NULL, `name` text NOT NULL, `sealed_key` blob NOT NULL, `public_key` blob NOT NULL, `cert` blob NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `firms_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `firms_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "firms_code_key" to table: "firms"
CREATE UNIQUE INDEX `firms_code_key` ON `firms` (`code`);
-- Create index "firm_vendor_id_id" to table: "firms"
CREATE INDEX `firm_vendor_id_id` ON `firms` (`vendor_id`, `id`);
-- Create index "firm_customer_id_id" to table: "firms"
CREATE INDEX `firm_customer_id_id` ON `firms` (`customer_id`, `id`);
-- Create "firm_counters" table
CREATE TABLE `firm_counters` (`id` text NOT NULL, `created_at` datetime NOT NULL, `counter` integer NOT NULL, `digest` blob NOT NULL, `container_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `firm_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `firm_counters_containers_counters` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE NO ACTION, CONSTRAINT `firm_counters_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `firm_counters_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `firm_counters_firms_firm` FOREIGN KEY (`firm_id`) REFERENCES `firms` (`id`) ON DELETE NO ACTION);
-- Create index "firmcounter_vendor_id_id" to table: "firm_counters"
CREATE INDEX `firmcounter_vendor_id_id` ON `firm_counters` (`vendor_id`, `id`);
-- Create index "firmcounter_customer_id_id" to table: "firm_counters"
CREATE INDEX `firmcounter_customer_id_id` ON `firm_counters` (`customer_id`, `id`);
-- Create index "firmcounter_container_id_firm_id" to table: "firm_counters"
CREATE UNIQUE INDEX `firmcounter_container_id_firm_id` ON `firm_counters` (`container_id`, `firm_id`);
-- Create "items" table
CREATE TABLE `items` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `quantity` integer NOT NULL, `expiration` datetime NULL, `feature_map` integer NOT NULL DEFAULT (0), `tmr` bool NOT NULL DEFAULT (false), `vendor_id` text NOT NULL, `customer_id` text NULL, `product_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `items_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `items_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `items_products_items` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION);
-- Create index "item_vendor_id_id" to table: "items"
CREATE INDEX `item_vendor_id_id` ON `items` (`vendor_id`, `id`);
-- Create index "item_customer_id_id" to table: "items"
CREATE INDEX `item_customer_id_id` ON `items` (`customer_id`, `id`);
-- Create index "item_product_id_name" to table: "items"
CREATE UNIQUE INDEX `item_product_id_name` ON `items` (`product_id`, `name`);
-- Create "members" table
CREATE TABLE `members` (`id` text NOT NULL, `created_at` datetime NOT NULL, `email` text NOT NULL, `name` text NOT NULL, `role` text NOT NULL, `password_hash` text NOT NULL, `organization_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `members_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION);
-- Create index "members_email_key" to table: "members"
CREATE UNIQUE INDEX `members_email_key` ON `members` (`email`);
-- Create index "member_organization_id_id" to table: "members"
CREATE INDEX `member_organization_id_id` ON `members` (`organization_id`, `id`);
-- Create "orders" table
CREATE TABLE `orders` (`id` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `quantity` integer NOT NULL, `idempotency_key` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `item_id` text NOT NULL, `rollout_id` text NULL, `tmr_group_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `orders_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `orders_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `orders_items_item` FOREIGN KEY (`item_id`) REFERENCES `items` (`id`) ON DELETE NO ACTION, CONSTRAINT `orders_rollouts_orders` FOREIGN KEY (`rollout_id`) REFERENCES `rollouts` (`id`) ON DELETE SET NULL, CONSTRAINT `orders_tmr_groups_orders` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE NO ACTION);
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
-- Create "organizations" table
CREATE TABLE `organizations` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `vendor` bool NOT NULL DEFAULT (false), `customer` bool NOT NULL DEFAULT (false), `provider_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `organizations_organizations_customers` FOREIGN KEY (`provider_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "organization_provider_id_name" to table: "organizations"
CREATE UNIQUE INDEX `organization_provider_id_name` ON `organizations` (`provider_id`, `name`);
-- Create "platform_keys" table
CREATE TABLE `platform_keys` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `sealed` blob NOT NULL, PRIMARY KEY (`id`));
-- Create index "platform_keys_name_key" to table: "platform_keys"
CREATE UNIQUE INDEX `platform_keys_name_key` ON `platform_keys` (`name`);
-- Create "products" table
CREATE TABLE `products` (`id` text NOT NULL, `created_at` datetime NOT NULL, `code` integer NOT NULL, `name` text NOT NULL, `sealed_key` blob NOT NULL, `public_key` blob NOT NULL, `firm_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `products_firms_products` FOREIGN KEY (`firm_id`) REFERENCES `firms` (`id`) ON DELETE NO ACTION, CONSTRAINT `products_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `products_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "product_vendor_id_id" to table: "products"
CREATE INDEX `product_vendor_id_id` ON `products` (`vendor_id`, `id`);
-- Create index "product_customer_id_id" to table: "products"
CREATE INDEX `product_customer_id_id` ON `products` (`customer_id`, `id`);
-- Create index "product_firm_id_code" to table: "products"
CREATE UNIQUE INDEX `product_firm_id_code` ON `products` (`firm_id`, `code`);
-- Create "rollouts" table
CREATE TABLE `rollouts` (`id` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `state` text NOT NULL, `running` bool NOT NULL DEFAULT (false), `machine` blob NULL, `steps` json NOT NULL, `epoch` integer NOT NULL DEFAULT (0), `sequence` integer NOT NULL DEFAULT (0), `tmr_id` integer NOT NULL DEFAULT (0), `quantity` integer NOT NULL DEFAULT (0), `firm` integer NOT NULL DEFAULT (0), `blocker` text NULL, `error_code` text NULL, `error_message` text NULL, `started_by` text NOT NULL, `finished_at` datetime NULL, `idempotency_key` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `tmr_group_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `rollouts_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `rollouts_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `rollouts_tmr_groups_rollouts` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE NO ACTION);
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
-- Create "sessions" table
CREATE TABLE `sessions` (`id` text NOT NULL, `data` blob NOT NULL, `expires_at` datetime NOT NULL, PRIMARY KEY (`id`));
-- Create index "session_expires_at" to table: "sessions"
CREATE INDEX `session_expires_at` ON `sessions` (`expires_at`);
-- Create "tmr_groups" table
CREATE TABLE `tmr_groups` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `virtual_serial` text NOT NULL, `activation_id` blob NOT NULL, `token_key` blob NOT NULL, `next_tmr_id` integer NOT NULL, `view_epoch` integer NOT NULL DEFAULT (0), `view_version` integer NOT NULL DEFAULT (0), `sequence` integer NOT NULL DEFAULT (0), `viewed_at` datetime NULL, `status` text NOT NULL DEFAULT ('1:- 2:- 3:-'), `quantity` integer NOT NULL DEFAULT (0), `tmr_id` integer NULL, `backends` json NOT NULL, `licenses` json NOT NULL, `clients` integer NOT NULL DEFAULT (0), `event_position` integer NOT NULL DEFAULT (0), `linked_at` datetime NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `tmr_groups_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `tmr_groups_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "tmr_groups_virtual_serial_key" to table: "tmr_groups"
CREATE UNIQUE INDEX `tmr_groups_virtual_serial_key` ON `tmr_groups` (`virtual_serial`);
-- Create index "tmrgroup_vendor_id_id" to table: "tmr_groups"
CREATE INDEX `tmrgroup_vendor_id_id` ON `tmr_groups` (`vendor_id`, `id`);
-- Create index "tmrgroup_customer_id_id" to table: "tmr_groups"
CREATE INDEX `tmrgroup_customer_id_id` ON `tmr_groups` (`customer_id`, `id`);
-- Create "tmr_servers" table
CREATE TABLE `tmr_servers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `address` text NOT NULL, `link_token_hash` blob NOT NULL, `leading` bool NOT NULL DEFAULT (false), `seen_at` datetime NULL, `tmr_group_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `tmr_servers_tmr_groups_servers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE NO ACTION, CONSTRAINT `tmr_servers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `tmr_servers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "tmr_servers_link_token_hash_key" to table: "tmr_servers"
CREATE UNIQUE INDEX `tmr_servers_link_token_hash_key` ON `tmr_servers` (`link_token_hash`);
-- Create index "tmrserver_vendor_id_id" to table: "tmr_servers"
CREATE INDEX `tmrserver_vendor_id_id` ON `tmr_servers` (`vendor_id`, `id`);
-- Create index "tmrserver_customer_id_id" to table: "tmr_servers"
CREATE INDEX `tmrserver_customer_id_id` ON `tmr_servers` (`customer_id`, `id`);
-- Create index "tmrserver_tmr_group_id_name" to table: "tmr_servers"
CREATE UNIQUE INDEX `tmrserver_tmr_group_id_name` ON `tmr_servers` (`tmr_group_id`, `name`);
-- Create "tmr_views" table
CREATE TABLE `tmr_views` (`id` text NOT NULL, `created_at` datetime NOT NULL, `sequence` integer NOT NULL, `epoch` integer NOT NULL, `version` integer NOT NULL, `at` datetime NOT NULL, `payload` json NOT NULL, `tmr_group_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `tmr_views_tmr_groups_views` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE NO ACTION, CONSTRAINT `tmr_views_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `tmr_views_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "tmrview_vendor_id_id" to table: "tmr_views"
CREATE INDEX `tmrview_vendor_id_id` ON `tmr_views` (`vendor_id`, `id`);
-- Create index "tmrview_customer_id_id" to table: "tmr_views"
CREATE INDEX `tmrview_customer_id_id` ON `tmr_views` (`customer_id`, `id`);
-- Create index "tmrview_tmr_group_id_sequence" to table: "tmr_views"
CREATE UNIQUE INDEX `tmrview_tmr_group_id_sequence` ON `tmr_views` (`tmr_group_id`, `sequence`);
-- Create index "tmrview_tmr_group_id_epoch_version" to table: "tmr_views"
CREATE UNIQUE INDEX `tmrview_tmr_group_id_epoch_version` ON `tmr_views` (`tmr_group_id`, `epoch`, `version`);
-- Create "updates" table
CREATE TABLE `updates` (`id` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `previous` blob NOT NULL, `digest` blob NULL, `content` blob NULL, `bytes` blob NULL, `receipt` blob NULL, `tmr_id` integer NOT NULL DEFAULT (0), `container_id` text NOT NULL, `rollout_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `firm_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `updates_containers_updates` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE NO ACTION, CONSTRAINT `updates_rollouts_updates` FOREIGN KEY (`rollout_id`) REFERENCES `rollouts` (`id`) ON DELETE NO ACTION, CONSTRAINT `updates_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `updates_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `updates_firms_firm` FOREIGN KEY (`firm_id`) REFERENCES `firms` (`id`) ON DELETE NO ACTION);
-- Create index "update_vendor_id_id" to table: "updates"
CREATE INDEX `update_vendor_id_id` ON `updates` (`vendor_id`, `id`);
-- Create index "update_customer_id_id" to table: "updates"
CREATE INDEX `update_customer_id_id` ON `updates` (`customer_id`, `id`);
-- Create index "update_container_id_firm_id_number" to table: "updates"
CREATE UNIQUE INDEX `update_container_id_firm_id_number` ON `updates` (`container_id`, `firm_id`, `number`);
-- Create index "update_rollout_id" to table: "updates"
CREATE INDEX `update_rollout_id` ON `updates` (`rollout_id`);
-- Create "works" table
CREATE TABLE `works` (`id` text NOT NULL, `created_at` datetime NOT NULL, `key` text NOT NULL, `kind` text NOT NULL, `payload` blob NOT NULL, `state` text NOT NULL DEFAULT ('PENDING'), `result` blob NULL, `error_code` text NULL, `error_message` text NULL, `done_at` datetime NULL, `rollout_id` text NULL, `tmr_group_id` text NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `works_rollouts_work` FOREIGN KEY (`rollout_id`) REFERENCES `rollouts` (`id`) ON DELETE SET NULL, CONSTRAINT `works_tmr_groups_work` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE NO ACTION, CONSTRAINT `works_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `works_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL);
-- Create index "works_key_key" to table: "works"
CREATE UNIQUE INDEX `works_key_key` ON `works` (`key`);
-- Create index "work_vendor_id_id" to table: "works"
CREATE INDEX `work_vendor_id_id` ON `works` (`vendor_id`, `id`);
-- Create index "work_customer_id_id" to table: "works"
CREATE INDEX `work_customer_id_id` ON `works` (`customer_id`, `id`);
-- Create index "work_tmr_group_id_state_id" to table: "works"
CREATE INDEX `work_tmr_group_id_state_id` ON `works` (`tmr_group_id`, `state`, `id`);
-- Create index "work_rollout_id" to table: "works"
CREATE INDEX `work_rollout_id` ON `works` (`rollout_id`);
