package org.bluefleet;

import de.bwaldvogel.mongo.bson.ObjectId;
import java.nio.ByteBuffer;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;
import org.h2.mvstore.type.ObjectDataType;

/**
 * The keys of a collection's documents, which are their {@code _id}: object ids in 13 bytes, where the stock type
 * serializes a Java object. Anything else, and the order, is the stock type's; so is what older files hold, which is read.
 */
final class Positions extends BasicDataType<Object> {
  /** The first byte of an object id; the stock type's own are never negative. */
  static final byte OBJECT_ID = (byte) 0xf1;

  private static final int LENGTH = 12;
  private static final int MEMORY = 56;

  private final ObjectDataType stock = new ObjectDataType();

  @Override
  public int compare(Object one, Object other) {
    return one instanceof ObjectId id && other instanceof ObjectId against
        ? id.compareTo(against)
        : stock.compare(one, other);
  }

  @Override
  public int getMemory(Object key) {
    return key instanceof ObjectId ? MEMORY : stock.getMemory(key);
  }

  @Override
  public void write(WriteBuffer into, Object key) {
    if (key instanceof ObjectId id) {
      into.put(OBJECT_ID).put(id.toByteArray());
    } else {
      stock.write(into, key);
    }
  }

  @Override
  public Object read(ByteBuffer from) {
    if (from.get(from.position()) != OBJECT_ID) {
      return stock.read(from);
    }
    byte[] id = new byte[LENGTH];
    from.get();
    from.get(id);
    return new ObjectId(id);
  }

  @Override
  public Object[] createStorage(int size) {
    return new Object[size];
  }
}
