package org.bluefleet;

import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.h2.H2Database;
import de.bwaldvogel.mongo.bson.Document;
import io.netty.channel.Channel;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.MVStoreException;

/**
 * A Mongo server that answers a write only once it is stored: {@code DurableMongo FOLDER PORT}.
 *
 * <p>The stock back end answers first and stores up to a second later, so a killed process forgets acknowledged writes. Here
 * each command that may write ends with a commit to the file, which bears the death of the process. A write that asks for
 * the journal ({@code writeConcern: {j: true}}, as the sink's do) is answered once the file is forced to the disk, which
 * bears a power cut. For other writes the file is forced every second: a power cut may cost them that second.
 *
 * <p>Documents and the keys of indexes are stored as BSON and as what they are; the stock back end serializes Java objects,
 * and two of them for every step of a search. A file that it wrote is read, and gone on with.
 *
 * <p>Every commit appends, so the file is made small when the server starts and stops, and while it runs whenever it has
 * grown to twice what it then was.
 */
public final class DurableMongo extends H2Backend {
  private static final Set<String> READING =
      Set.of(
          "buildinfo", "collstats", "count", "dbstats", "distinct", "endsessions", "find", "getmore", "hello", "ismaster",
          "killcursors", "listcollections", "listdatabases", "listindexes", "ping", "serverstatus", "whatsmyuri");
  private static final long SPARE_BYTES = 64L << 20;
  private static final int PAUSE_MILLIS = 1_000;
  private static final int START_MILLIS = 5_000;
  private static final int STOP_MILLIS = 15_000;

  /** How the stock back end names its maps. */
  private static final String DATA = "databases.";

  private static final String INDEX = "._index_";

  private final MVStore store;

  /** Commands that write share it, a commit has it alone: a document that is being changed can't be written as BSON. */
  private final ReadWriteLock changes = new ReentrantReadWriteLock();

  private DurableMongo(MVStore store) {
    super(store);
    this.store = store;
  }

  @Override
  protected MongoDatabase openOrCreateDatabase(String name) {
    return new Database(name);
  }

  /** A database whose maps have types of our own: each is opened before the stock code does, which then takes it. */
  private final class Database extends H2Database {
    Database(String name) {
      super(name, getMvStore(), getCursorRegistry());
    }

    @Override
    protected MongoCollection<Object> openOrCreateCollection(String collection, CollectionOptions options) {
      var types = new MVMap.Builder<Object, Document>().keyType(new Positions()).valueType(new Documents());
      getMvStore().openMap(DATA + getFullCollectionNamespace(collection), types);
      return super.openOrCreateCollection(collection, options);
    }

    @Override
    protected Index<Object> openOrCreateUniqueIndex(
        String collection, String index, List<IndexKey> keys, boolean sparse) {
      var types = new MVMap.Builder<KeyValue, Object>().keyType(new IndexKeys()).valueType(new Positions());
      getMvStore().openMap(getFullCollectionNamespace(collection) + INDEX + index, types);
      return super.openOrCreateUniqueIndex(collection, index, keys, sparse);
    }
  }

  @Override
  public Document handleCommand(Channel channel, String database, String command, Document query) {
    if (reads(command.toLowerCase(Locale.ROOT), query)) {
      return super.handleCommand(channel, database, command, query);
    }
    Document answer;
    changes.readLock().lock();
    try {
      answer = super.handleCommand(channel, database, command, query);
    } finally {
      changes.readLock().unlock();
    }
    try {
      // Always, and not only with changes of its own: another thread may be storing this command's changes right now.
      alone(store::commit);
      if (asksForJournal(query)) {
        store.sync();
      }
    } catch (MVStoreException failure) {
      end(failure);
    }
    return answer;
  }

  /**
   * Whether a command changes nothing. A reader's aggregate goes through a whole collection: every commit, and so every write,
   * would wait for its end. One in which a stage that stores is named, wherever, is taken for one that does.
   */
  private static boolean reads(String command, Document query) {
    if (!command.equals("aggregate")) {
      return READING.contains(command);
    }
    String pipeline = String.valueOf(query.get("pipeline"));
    return !pipeline.contains("$out") && !pipeline.contains("$merge");
  }

  private void alone(Runnable work) {
    changes.writeLock().lock();
    try {
      work.run();
    } finally {
      changes.writeLock().unlock();
    }
  }

  /** A store that can't reach its disk must not go on answering that it did. */
  private static void end(Exception failure) {
    System.err.println("the store can't be written: " + failure);
    Runtime.getRuntime().halt(1);
  }

  private static boolean asksForJournal(Document query) {
    return query.get("writeConcern") instanceof Document concern && Boolean.TRUE.equals(concern.get("j"));
  }

  @Override
  public void close() {
    if (!store.isClosed()) {
      alone(store::commit);
      store.close(STOP_MILLIS);
    }
  }

  public static void main(String[] arguments) throws IOException {
    Path file = Path.of(arguments[0]).resolve("documents.mv");
    int port = Integer.parseInt(arguments[1]);
    MVStore store = new MVStore.Builder().fileName(file.toString()).autoCommitDisabled().open();
    store.setRetentionTime(0);
    if (Files.size(file) > SPARE_BYTES) {
      store.compactFile(START_MILLIS);
    }
    DurableMongo backend = new DurableMongo(store);
    MongoServer server = new MongoServer(backend);
    ScheduledExecutorService housekeeping =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "housekeeping");
              thread.setDaemon(true);
              return thread;
            });
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  housekeeping.shutdown();
                  server.shutdown();
                }));
    server.bind(new InetSocketAddress(port));
    backend.keep(housekeeping, file);
    System.out.println("ready: port " + port + ", " + file + " " + (Files.size(file) >> 20) + " MB");
  }

  private void keep(ScheduledExecutorService housekeeping, Path file) throws IOException {
    long[] small = {Files.size(file)};
    housekeeping.scheduleWithFixedDelay(
        () -> {
          try {
            store.sync();
            if (Files.size(file) > 2 * small[0] + SPARE_BYTES) {
              alone(() -> store.compactFile(PAUSE_MILLIS));
              small[0] = Files.size(file);
            }
          } catch (IOException | RuntimeException failure) {
            end(failure);
          }
        },
        1,
        1,
        TimeUnit.SECONDS);
  }
}
