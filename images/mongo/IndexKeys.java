package org.bluefleet;

import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.bson.ObjectId;
import java.nio.ByteBuffer;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;
import org.h2.mvstore.type.ObjectDataType;

/**
 * Keys of indexes. The stock type stores and compares them as serialized Java objects, two for each step of a search. Here a
 * key of one text or one object id, which is what every document has, is stored as that and compared without; in the same
 * order, so that older files are gone on with.
 */
final class IndexKeys extends BasicDataType<KeyValue> {
  /** The first byte of a key of one value, which follows. */
  private static final byte ONE_VALUE = (byte) 0xf2;

  /** Longer text is serialized in another way. */
  private static final int SHORT = 0xffff;

  private static final int MEMORY = 64;

  private final Positions values = new Positions();
  private final ObjectDataType stock = new ObjectDataType();

  @Override
  public int compare(KeyValue one, KeyValue other) {
    if (isSimple(one) && isSimple(other)) {
      Object first = one.get(0);
      Object second = other.get(0);
      if (first instanceof String text && second instanceof String against) {
        // When one is serialized, its length comes before its characters.
        return text.length() == against.length() ? text.compareTo(against) : text.length() - against.length();
      }
      if (first instanceof ObjectId id && second instanceof ObjectId against) {
        return id.compareTo(against);
      }
    }
    return stock.compare(one, other);
  }

  private static boolean isSimple(KeyValue key) {
    return key.size() == 1
        && (key.get(0) instanceof ObjectId || key.get(0) instanceof String text && isPlain(text));
  }

  /** Whether each character is serialized as one byte, and as its own. */
  private static boolean isPlain(String text) {
    if (text.length() > SHORT) {
      return false;
    }
    for (int index = 0; index < text.length(); index++) {
      char character = text.charAt(index);
      if (character == 0 || character > 0x7f) {
        return false;
      }
    }
    return true;
  }

  @Override
  public int getMemory(KeyValue key) {
    return isSimple(key) ? MEMORY + values.getMemory(key.get(0)) : stock.getMemory(key);
  }

  @Override
  public void write(WriteBuffer into, KeyValue key) {
    if (isSimple(key)) {
      into.put(ONE_VALUE);
      values.write(into, key.get(0));
    } else {
      stock.write(into, key);
    }
  }

  @Override
  public KeyValue read(ByteBuffer from) {
    if (from.get(from.position()) != ONE_VALUE) {
      return (KeyValue) stock.read(from);
    }
    from.get();
    return new KeyValue(values.read(from));
  }

  @Override
  public KeyValue[] createStorage(int size) {
    return new KeyValue[size];
  }
}
