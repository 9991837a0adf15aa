CREATE TABLE IF NOT EXISTS accounts (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL UNIQUE,
  password text NOT NULL
);

CREATE TABLE IF NOT EXISTS orders (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id int NOT NULL REFERENCES accounts,
  key text NOT NULL,
  item text NOT NULL,
  quantity int NOT NULL,
  placed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (account_id, key)
);
