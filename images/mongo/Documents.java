package org.bluefleet;

import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.bson.BsonDecoder;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;
import org.h2.mvstore.type.ObjectDataType;

/** Documents as BSON, as they came, instead of as serialized Java objects; those of older files are read. */
final class Documents extends BasicDataType<Document> {
  /** The first byte of BSON, which begins with its length. */
  private static final byte BSON = (byte) 0xf3;

  private final ObjectDataType stock = new ObjectDataType();

  @Override
  public int getMemory(Document document) {
    return stock.getMemory(document);
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
    return document;
  }

  @Override
  public Document[] createStorage(int size) {
    return new Document[size];
  }
}
