package org.bluefleet;

import static de.bwaldvogel.mongo.wire.BsonConstants.MAX_BSON_OBJECT_SIZE;

import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.bson.BsonDecoder;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;
import org.h2.mvstore.type.ObjectDataType;

/** Documents as BSON instead of as serialized Java objects; those of older files are read. */
final class Documents extends BasicDataType<Document> {
  /** The first byte of BSON, which begins with its length. */
  private static final byte BSON = (byte) 0xf3;

  /** About so many bytes are a byte of BSON in memory, with short values; and what one document counts for at most. */
  private static final int MEMORY_PER_BYTE = 4;

  private static final int MOST_MEMORY = 8 << 20;
  private static final int WINDOW = 16;

  private final ObjectDataType stock = new ObjectDataType();

  /** Of the documents that were written or read last; the page cache holds as much as they add up to. */
  private volatile int averageMemory = 2_000;

  @Override
  public int getMemory(Document document) {
    return averageMemory;
  }

  private void count(int length) {
    int memory = Math.min(MOST_MEMORY, MEMORY_PER_BYTE * length);
    averageMemory += (memory - averageMemory) / WINDOW;
  }

  @Override
  public void write(WriteBuffer into, Document document) {
    ByteBuf bson = Unpooled.buffer(1024);
    try {
      BsonEncoder.encodeDocument(document, bson);
    } catch (IllegalArgumentException unknownInBson) {
      stock.write(into, document);
      return;
    }
    count(bson.readableBytes());
    if (bson.readableBytes() > MAX_BSON_OBJECT_SIZE) {
      // A document may grow beyond what the decoder takes.
      stock.write(into, document);
      return;
    }
    into.put(BSON).put(bson.nioBuffer());
  }

  @Override
  public Document read(ByteBuffer from) {
    if (from.get(from.position()) != BSON) {
      return (Document) stock.read(from);
    }
    from.get();
    ByteBuf bson = Unpooled.wrappedBuffer(from);
    Document document = BsonDecoder.decodeBson(bson);
    from.position(from.position() + bson.readerIndex());
    count(bson.readerIndex());
    return document;
  }

  @Override
  public Document[] createStorage(int size) {
    return new Document[size];
  }
}
