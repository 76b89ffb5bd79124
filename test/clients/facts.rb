# Named facts, printed as TAP. What a part raises is a fact that fails: the parts after it still run.

$stdout.sync = true
$fact_count = 0

def fact(name, got, wanted = true)
  $fact_count += 1
  holds = wanted.respond_to?(:call) ? wanted.call(got) : got == wanted
  said = holds ? '' : " (got #{got.inspect[0, 200]}, wanted #{wanted.inspect[0, 200]})"
  puts "#{holds ? 'ok' : 'not ok'} #{$fact_count} - #{name}#{said}"
end

def raises(name, error)
  got = begin
    yield
  rescue StandardError => e
    e
  end
  fact(name, got, error.method(:===))
end

def part(title)
  yield
rescue StandardError => e
  fact("#{title} runs to its end: #{e.class} #{e.message} #{e.backtrace.first(2)}", false)
end

def done
  puts "1..#{$fact_count}"
end
