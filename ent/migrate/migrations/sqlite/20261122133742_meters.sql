-- Add column "carried" to table: "orders"
ALTER TABLE `orders` ADD COLUMN `carried` json NULL;
-- Add column "meters" to table: "containers"
ALTER TABLE `containers` ADD COLUMN `meters` json NULL;
