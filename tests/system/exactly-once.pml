/*
 * A COMMIT whose answer may be lost, the fence and the question, in every order in which things can happen. Beside it the same for a write under a key.
 *
 *     spin -a exactly-once.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan
 *
 * The client does what packages/pool/src/transaction does. Each rule can be left out, and then spin finds what goes wrong:
 * spin -DNO_FENCE, -DNO_INCARNATION, -DTRUST_COMMITTED, -DNO_TOMBSTONE, -DNO_UNIQUE_KEY, -DNO_GENERATION.
 */
#define XIDS 6    /* two tries, two strangers, and what is handed out again */
#define TRIES 2
mtype = { FREE, RUNNING, COMMITTED, ABORTED };         /* what pg_xact_status says; FREE: "in the future" */
mtype = { WAITING, DONE, NOT_STORED, UNKNOWN };        /* what the caller is told */
mtype = { NO_ROW, STORED, TOMBSTONE };                 /* the row of the key */

mtype status[XIDS] = FREE; byte next;                  /* the server: its transaction ids are handed out in order */
byte incarnation;                                      /* changes when it crashes, and with it what it knows of ids that were not durable */
byte xid[TRIES]; bool lives[TRIES], answered[TRIES];   /* the backend of each try */
byte rows; mtype told = WAITING;                       /* how often our row is stored; what its caller was told */
mtype row = NO_ROW; byte generation, keyedRows; mtype keyedTold = WAITING;

/* COMMIT, on its way: it arrives, however late, or is lost. */
proctype Commit(byte try) {
  if
  :: atomic { lives[try] -> status[xid[try]] = COMMITTED; lives[try] = false; answered[try] = true; rows++;
      assert(rows == 1 && told != NOT_STORED) }
  :: skip
  fi }

/* pool.transaction() */
active proctype Caller() { byte try, now, before; mtype said;
  do
  :: try == TRIES -> told = NOT_STORED; break
  :: else ->                                           /* BEGIN and the write, whose answer tells xid and incarnation */
    atomic { xid[try] = next; status[next] = RUNNING; next++; lives[try] = true; before = incarnation }
    run Commit(try);
    if
    :: answered[try] -> told = DONE; break
    :: skip                                            /* its connection is lost */
    fi;
ask: atomic { now = incarnation;                       /* a new connection: who is there? */
#ifdef NO_INCARNATION
      before = now
#endif
    };
#ifndef NO_FENCE
    atomic { if :: now == before && lives[try] -> lives[try] = false; status[xid[try]] = ABORTED :: else fi };
#endif
    atomic { said = status[xid[try]]; if :: now != incarnation -> goto ask :: else fi };   /* that connection may be lost, too */
    if
    :: said == COMMITTED && now == before -> told = DONE; break
    :: said == COMMITTED && now != before ->           /* perhaps a stranger, who was given our id */
#ifdef TRUST_COMMITTED
      told = DONE; break
#else
      told = UNKNOWN; break
#endif
    :: else -> try++                                   /* nothing is stored: once more */
    fi
  od;
  assert((told != DONE || rows == 1) && (told != NOT_STORED || rows == 0) && (told != UNKNOWN || incarnation > 0)) }

/* Others, whose transactions are stored. */
active [2] proctype Stranger() { atomic { status[next] = COMMITTED; next++ } }

/* Sessions end. Ids behind the last durable one are forgotten, and will be handed out again. */
active proctype Crash() { atomic {
  incarnation++; lives[0] = false; lives[1] = false;
  do :: next > 0 && status[next - 1] != COMMITTED -> next--; status[next] = FREE :: else -> break od;
  byte id; for (id : 0 .. XIDS - 1) { if :: status[id] == RUNNING -> status[id] = ABORTED :: else fi } } }

/* The row of a key with its write, in one flight: it arrives, however late, or is lost. */
proctype Claim(byte sent; bool takesOver) {
  if
  :: atomic {
#ifdef NO_UNIQUE_KEY
      true
#else
      (row == NO_ROW && !takesOver) || (row == TOMBSTONE && takesOver
#ifndef NO_GENERATION
        && generation == sent
#endif
      )
#endif
      -> row = STORED; keyedRows++; assert(keyedRows == 1 && keyedTold != NOT_STORED) }
  :: skip
  fi }

/* A statement with an idempotencyKey. Each of its answers is lost. */
active proctype KeyedCaller() { byte try; bool takesOver;
  do
  :: try == TRIES -> keyedTold = NOT_STORED; break
  :: else -> run Claim(generation, takesOver);
    atomic { if
      :: row == STORED -> keyedTold = DONE; break
#ifndef NO_TOMBSTONE
      :: row != STORED -> row = TOMBSTONE; generation++; takesOver = true
#else
      :: row != STORED
#endif
      fi }; try++
  od;
  assert((keyedTold != DONE || keyedRows == 1) && (keyedTold != NOT_STORED || keyedRows == 0)) }
