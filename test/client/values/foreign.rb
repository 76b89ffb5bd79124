# dalli writes values for the pool, or says what it reads of the pool's:
# `ruby foreign.rb write|read HOST PORT [KEYS]`.
require 'dalli'
require 'digest'
require 'json'

mode, host, port, keys = ARGV
cache = Dalli::Client.new("#{host}:#{port}", serializer: JSON, compress: true)
if mode == 'read'
  keys.split(' ').each do |key|
    value = cache.get(key)
    kind = value.class.name
    value = Digest::MD5.hexdigest(value) if value.is_a?(String) && value.size > 1000
    value = value.dup.force_encoding('UTF-8') if value.is_a?(String)
    value = value.unpack1('H*') if value.is_a?(String) && !value.valid_encoding?
    puts JSON.generate([key, kind, value])
  end
  exit
end
{
  'text' => 'größe', 'empty' => '', 'int' => 42, 'float' => 0.1, 'true' => true, 'false' => false,
  'nil' => nil, 'list' => [1, 'zwei', nil], 'hash' => { 'a' => { 'b' => 1 } }
}.each { |key, value| cache.set("rb:#{key}", value) }
cache.set('rb:long', 'abcdefghij' * 500)
cache.set('rb:raw', 'größe', 0, raw: true)
cache.set('rb:counter', '100', 0, raw: true)
cache.decr('rb:counter')
marshal = Dalli::Client.new("#{host}:#{port}")
marshal.set('rb:marshal', [1])
