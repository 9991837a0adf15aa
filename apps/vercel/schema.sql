-- One table. Run it once on your database; src/schema.ts says the same to Drizzle.
CREATE TABLE IF NOT EXISTS orders (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  item text NOT NULL,
  quantity int NOT NULL CHECK (quantity > 0),
  cents int NOT NULL,
  placed_at timestamptz NOT NULL DEFAULT now()
);
